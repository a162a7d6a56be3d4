//! The storyteller on the nRF52840-DK: each line that comes over the board's USB serial port (P0.08 and P0.06, 115200 baud)
//! begins a story, which goes back token by token. With slots a model can come between stories.
#![no_std]
#![no_main]

mod line;
#[cfg(feature = "slots")]
mod slots;

use core::cell::RefCell;

use nrf52840_hal::gpio::p0;
use nrf52840_hal::pac::Peripherals;
use nrf52840_hal::uarte::Baudrate;
use teff_app::digits::Embedded;
#[cfg(not(feature = "slots"))]
use teff_app::storyteller;
use teff_app::storyteller::Settings;
use teff_probe::ConstStaticCell;

use crate::line::Half;

mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

#[cfg(not(feature = "slots"))]
use model::MEMORY_LEN;
#[cfg(feature = "slots")]
use slots::MEMORY_LEN;

static MEMORY: ConstStaticCell<teff::Aligned<[u8; MEMORY_LEN]>> = ConstStaticCell::new(teff::Aligned([0; MEMORY_LEN]));

#[cortex_m_rt::entry]
fn main() -> ! {
    let embedded = Embedded { model: model::MODEL, ops: model::OPS };
    let Some(device) = Peripherals::take() else { teff_probe::fail(&"the board's peripherals are taken") };
    let port = p0::Parts::new(device.P0);
    let line = RefCell::new(line::usb(device.UARTE0, (port.p0_06, port.p0_08), None, Baudrate::BAUD115200));
    let memory = &mut MEMORY.take().0;
    let (prompts, text) = (Half(&line), Half(&line));
    #[cfg(feature = "slots")]
    teff_probe::slots::run_storyteller(
        slots::flash(device.NVMC),
        &model::PUBLIC_KEY,
        embedded,
        memory,
        Settings::DEMO,
        (prompts, text),
    );
    #[cfg(not(feature = "slots"))]
    teff_probe::ended(storyteller::run(embedded, memory, Settings::DEMO, prompts, text))
}
