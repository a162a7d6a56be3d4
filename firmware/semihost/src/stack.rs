//! How deep the stack went.
#![allow(unsafe_code)]

use core::ptr::addr_of;

use cortex_m_rt::STACK_PAINT_VALUE;

// Symbols of cortex-m-rt's linker script: the lowest and the highest end of the stack's memory.
unsafe extern "C" {
    static _stack_end: u32;
    static _stack_start: u32;
}

/// Bytes of the stack's memory, and how many of them were ever written.
///
/// The start-up code paints that memory; the stack grows down, so the first word from below that is no longer paint is
/// where it ended.
pub(crate) fn depth() -> (usize, usize) {
    let (low, high) = (addr_of!(_stack_end), addr_of!(_stack_start));
    let total = high.addr() - low.addr();
    let is_paint = |&index: &usize| {
        // SAFETY: the linker script aligns `low` to 4 and the index stays below the number of words up to `high`, all
        // of it RAM. The memory below the stack pointer belongs to nobody; above it are frames of this very thread,
        // to which no reference is made here.
        unsafe { low.add(index).read_volatile() == STACK_PAINT_VALUE }
    };
    let untouched = (0..total / size_of::<u32>()).take_while(is_paint).count() * size_of::<u32>();
    (total, total - untouched)
}
