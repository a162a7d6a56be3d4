//! What the programs of this crate share: the model, its memory, start, exit and panic.

use core::panic::PanicInfo;
use core::ptr::addr_of_mut;

use teff::Aligned;

mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

pub(crate) use model::{MODEL, OPS};

pub(crate) const PASSED: i32 = 0;
pub(crate) const REFUSED: i32 = 2;
const PANICKED: i32 = 101;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    semihosting::process::exit(PANICKED)
}

static mut MEMORY: Aligned<[u8; model::MEMORY_LEN]> = Aligned([0; model::MEMORY_LEN]);

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
