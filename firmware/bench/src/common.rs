//! What the programs of this crate share: the model, its memory, start, exit and panic.

use core::panic::PanicInfo;
use core::ptr::addr_of_mut;

use teff::Aligned;

#[allow(dead_code, reason = "nothing else verifies here: the operators without their checks are enough")]
mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

pub(crate) use model::embedded;

pub(crate) const PASSED: i32 = 0;
pub(crate) const REFUSED: i32 = 2;
const PANICKED: i32 = 101;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    semihosting::process::exit(PANICKED)
}

static mut MEMORY: Aligned<[u8; model::MEMORY_LEN]> = Aligned([0; model::MEMORY_LEN]);

/// The vector table ends behind the exceptions of the core: none of the 240 interrupts that `cortex-m-rt` else makes room for is
/// used. One there must be.
#[cfg(target_arch = "arm")]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".vector_table.interrupts")]
pub static __INTERRUPTS: [extern "C" fn() -> !; 1] = [unexpected];

#[cfg(target_arch = "arm")]
extern "C" fn unexpected() -> ! {
    semihosting::process::exit(PANICKED)
}

#[cfg(target_arch = "arm")]
mod float_registers {
    #![allow(deprecated, reason = "what replaces the attribute is assembler; cortex-m-rt still calls it")]

    /// Enables the float registers, before anything else runs: targets whose name does not end in `hf` pass no floats in them, but
    /// for the Cortex-M7 and M33 that this crate names the compiler still moves data through them, and `cortex-m-rt` enables
    /// them only for targets that do. Where a core has none, the write has no effect.
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
}

fn start() -> ! {
    // SAFETY: `start` is called once, by the start-up code, on the only thread; nothing else names `MEMORY`.
    let memory = unsafe { &mut *addr_of_mut!(MEMORY) };
    semihosting::process::exit(crate::bench(&mut memory.0))
}

#[cfg(target_arch = "arm")]
#[cortex_m_rt::entry]
fn main() -> ! {
    start()
}

#[cfg(target_arch = "riscv32")]
#[riscv_rt::entry]
fn main() -> ! {
    start()
}
