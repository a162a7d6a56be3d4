//! Words from sound on the nRF52840-DK: samples of 16 kHz, i16 little-endian, come in and results go out on the board's USB
//! serial port (P0.08 and P0.06, 1,000,000 baud); LED 1 is dark while a word is heard.
//!
//! RTS and CTS (P0.05 and P0.07) hold the sender back while the processor is busy: switch them on in the sender too.
#![no_std]
#![no_main]

mod line;

use core::cell::RefCell;

use nrf52840_hal::gpio::{Level, p0};
use nrf52840_hal::pac::Peripherals;
use nrf52840_hal::uarte::Baudrate;
use teff_app::digits::Embedded;
use teff_app::keyword::{self, Board};
use teff_probe::ConstStaticCell;

use crate::line::Half;

mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

static MEMORY: ConstStaticCell<teff::Aligned<[u8; model::MEMORY_LEN]>> =
    ConstStaticCell::new(teff::Aligned([0; model::MEMORY_LEN]));

#[cortex_m_rt::entry]
fn main() -> ! {
    let embedded = Embedded { model: model::MODEL, ops: model::OPS };
    let Some(device) = Peripherals::take() else { teff_probe::fail(&"the board's peripherals are taken") };
    let port = p0::Parts::new(device.P0);
    let flow = Some((port.p0_07, port.p0_05));
    let line = RefCell::new(line::usb(device.UARTE0, (port.p0_06, port.p0_08), flow, Baudrate::BAUD1M));
    // Low lights the LED.
    let heard = port.p0_13.into_push_pull_output(Level::Low);
    let board = Board { sound: Half(&line), results: Half(&line), heard };
    teff_probe::ended(keyword::run(embedded, &mut MEMORY.take().0, board))
}
