//! Teff on the nRF52840-DK (Cortex-M4F, 1 MB flash, 256 KB RAM).
//!
//! Frames come in and outputs go out on the board's USB serial port (P0.08 and P0.06, 115200 baud); LED 1 is lit between
//! images.
#![no_std]
#![no_main]

mod line;
#[cfg(feature = "slots")]
mod slots;

use core::cell::RefCell;

use nrf52840_hal::gpio::{Level, p0};
use nrf52840_hal::pac::Peripherals;
use nrf52840_hal::uarte::Baudrate;
use teff_app::digits::{Board, Embedded};
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
    // Low lights the LED.
    let busy = port.p0_13.into_push_pull_output(Level::Low);
    let board = Board { frames: Half(&line), results: Half(&line), busy };
    let memory = &mut MEMORY.take().0;
    #[cfg(feature = "slots")]
    teff_probe::slots::run(slots::flash(device.NVMC), &model::PUBLIC_KEY, embedded, memory, board);
    #[cfg(not(feature = "slots"))]
    teff_probe::run(embedded, memory, board)
}
