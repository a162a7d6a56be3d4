//! Where counting begins and ends.
//!
//! The instruction counter finds these functions by their symbols and counts what runs between a call of
//! [`bench_begin`] and the next call of [`bench_end`]. They do nothing, and cost a call each.
#![allow(unsafe_code)] // `no_mangle` only: no block of unsafe code.

use core::hint::black_box;

/// Opens an interval.
// SAFETY: no other item of the firmware or of its libraries has this symbol name.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn bench_begin() {
    // Different bodies, or the linker might fold the two functions into one.
    black_box(0_u8);
}

/// Closes the interval.
// SAFETY: no other item of the firmware or of its libraries has this symbol name.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn bench_end() {
    black_box(1_u8);
}
