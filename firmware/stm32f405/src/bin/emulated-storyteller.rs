//! The storyteller on the memory map of the STM32F405 under QEMU: lines and text are files of the PC.
#![no_std]
#![no_main]

use cortex_m as _; // critical sections, which the logs need
use stm32f4xx_hal as _; // interrupt vectors
use teff_app::digits::Embedded;
use teff_app::storyteller::Settings;
use teff_semihost::ConstStaticCell;

mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

static MEMORY: ConstStaticCell<teff::Aligned<[u8; model::MEMORY_LEN]>> =
    ConstStaticCell::new(teff::Aligned([0; model::MEMORY_LEN]));

#[cortex_m_rt::entry]
fn main() -> ! {
    let embedded = Embedded { model: model::MODEL, ops: model::OPS };
    teff_semihost::run_storyteller(embedded, &mut MEMORY.take().0, Settings::DEMO)
}
