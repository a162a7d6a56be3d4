//! Float registers for cores that have them under a target whose name does not say so.
#![allow(unsafe_code)]
#![allow(deprecated, reason = "what replaces the attribute is assembler; cortex-m-rt still calls it")]

/// Enables the float registers, before anything else runs: targets whose name does not end in `hf` pass no floats in them, but
/// for the Cortex-M7 and M33 the compiler still moves data through them, and `cortex-m-rt` enables them only for targets that
/// do. Where a core has none, the write has no effect.
#[cortex_m_rt::pre_init]
unsafe fn enable_float_registers() {
    const CPACR: *mut u32 = 0xe000_ed88 as *mut u32;
    // SAFETY: the Coprocessor Access Control Register is at this address on every Cortex-M that has it and reads as zero on
    // the others; nothing else runs yet. The barriers make the instructions that follow see it.
    unsafe {
        CPACR.write_volatile(CPACR.read_volatile() | 0xf << 20);
        core::arch::asm!("dsb", "isb", options(nostack, preserves_flags));
    }
}
