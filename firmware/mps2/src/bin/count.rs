//! A loop whose instructions are known, to check the instruction counter with.
#![no_std]
#![no_main]
#![allow(unsafe_code)]

use core::arch::asm;
use core::hint::black_box;

use cortex_m as _; // critical sections, which the logs need
use teff_app::markers::{bench_begin, bench_end};

/// Two instructions a round; `rounds` is at least 1.
#[inline(always)]
fn spin(rounds: u32) {
    // SAFETY: two instructions on a register of their own and the flags, no memory, no stack.
    unsafe { asm!("2: subs {0}, #1", "bne 2b", inout(reg) rounds => _, options(nomem, nostack)) }
}

/// One function for all intervals, so that all cost the same beside the loop.
#[inline(never)]
fn interval(rounds: u32) {
    bench_begin();
    spin(rounds);
    bench_end();
    defmt::info!("{=u32} rounds", rounds);
}

#[cortex_m_rt::entry]
fn main() -> ! {
    for rounds in black_box([1, 1_000, 100_000]) {
        interval(rounds);
    }
    teff_semihost::succeed()
}
