//! The memory map of the STM32F405 under QEMU, which has its core and memories, but not its clocks and pins: frames and
//! results are files of the PC.
#![no_std]
#![no_main]

use cortex_m as _; // critical sections, which the logs need
use stm32f4xx_hal as _; // interrupt vectors
use teff_app::digits::Embedded;
use teff_semihost::{ConstStaticCell, Unconnected};

mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

static MEMORY: ConstStaticCell<teff::Aligned<[u8; model::MEMORY_LEN]>> =
    ConstStaticCell::new(teff::Aligned([0; model::MEMORY_LEN]));

#[cortex_m_rt::entry]
fn main() -> ! {
    let embedded = Embedded { model: model::MODEL, ops: model::OPS };
    teff_semihost::run(embedded, &mut MEMORY.take().0, Unconnected)
}
