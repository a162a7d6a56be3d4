//! Teff on the BBC micro:bit, version 1 (nRF51822: Cortex-M0, 256 KB flash, 16 KB RAM).
//!
//! Frames come in and outputs go out on the board's USB serial port (115200 baud); the first LED of the display is lit while the
//! model runs.
#![no_std]
#![no_main]

mod port;

use core::cell::RefCell;

use microbit::Board as Microbit;
use microbit::hal::Clocks;
use microbit::hal::uart::Baudrate;
use teff_app::digits::{Board, Embedded};
use teff_probe::{ConstStaticCell, Half};

use crate::port::Port;

mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

static MEMORY: ConstStaticCell<teff::Aligned<[u8; model::MEMORY_LEN]>> =
    ConstStaticCell::new(teff::Aligned([0; model::MEMORY_LEN]));

#[cortex_m_rt::entry]
fn main() -> ! {
    let embedded = Embedded { model: model::MODEL, ops: model::OPS };
    let Some(device) = Microbit::take() else { teff_probe::fail(&"the board's peripherals are taken") };
    // The crystal: the internal oscillator is too far off for a serial line.
    let _clocks = Clocks::new(device.CLOCK).enable_ext_hfosc();
    let line = RefCell::new(Port::new(device.UART0, device.uart.into(), Baudrate::BAUD115200));
    // Columns are low after reset, so row 1 alone lights the LED.
    let board = Board { frames: Half(&line), results: Half(&line), busy: device.display_pins.row1 };
    teff_probe::run(embedded, &mut MEMORY.take().0, board)
}
