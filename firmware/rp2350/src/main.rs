//! Teff on the Raspberry Pi Pico 2 (RP2350, 4 MB flash, 520 KB RAM), on its Cortex-M33 or its RISC-V cores.
//!
//! Frames come in on GPIO 1 and outputs go out on GPIO 0 (UART0, 115200 baud); the LED is lit while the model runs.
#![no_std]
#![no_main]
#![allow(missing_docs)] // the attribute `entry` makes a public function of main

mod pico2;
#[cfg(feature = "slots")]
mod slots;

use rp235x_hal::Sio;
use rp235x_hal::gpio::Pins;
use rp235x_hal::pac::Peripherals;
use teff_app::digits::{Board, Embedded};
use teff_probe::ConstStaticCell;

mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

#[cfg(not(feature = "slots"))]
use model::MEMORY_LEN;
#[cfg(feature = "slots")]
use slots::MEMORY_LEN;

static MEMORY: ConstStaticCell<teff::Aligned<[u8; MEMORY_LEN]>> = ConstStaticCell::new(teff::Aligned([0; MEMORY_LEN]));

#[rp235x_hal::entry]
fn main() -> ! {
    let embedded = Embedded { model: model::MODEL, ops: model::OPS };
    let Some(mut device) = Peripherals::take() else { teff_probe::fail(&"the board's peripherals are taken") };
    let (plls, resets) = ((device.PLL_SYS, device.PLL_USB), &mut device.RESETS);
    let clocks = pico2::clocks(device.XOSC, device.CLOCKS, plls, device.WATCHDOG, resets);
    let pins = Pins::new(device.IO_BANK0, device.PADS_BANK0, Sio::new(device.SIO).gpio_bank0, resets);
    let line = pico2::line(device.UART0, pins.gpio0, pins.gpio1, &clocks, resets);
    let (frames, results) = line.split();
    let board = Board { frames, results, busy: pins.gpio25.into_push_pull_output() };
    let memory = &mut MEMORY.take().0;
    #[cfg(feature = "slots")]
    teff_probe::slots::run(slots::flash(device.QMI), &model::PUBLIC_KEY, embedded, memory, board);
    #[cfg(not(feature = "slots"))]
    teff_probe::run(embedded, memory, board)
}
