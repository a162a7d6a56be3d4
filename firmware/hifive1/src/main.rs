//! Teff on the HiFive1 rev B (RV32IMAC, 4 MB flash, 16 KB RAM).
//!
//! Frames come in and outputs go out on the board's USB serial port (UART0, 115200 baud); pin 19, the green part of the
//! LED, is high while the model runs, which darkens it.
#![no_std]
#![no_main]
#![allow(missing_docs)] // the attribute `entry` makes a public function of main

use hifive1::hal::DeviceResources;
use hifive1::hal::prelude::*;
use hifive1::hal::serial::Serial;
use hifive1::{clock, pin};
use teff_app::digits::{Board, Embedded};
use teff_probe::{ConstStaticCell, Receiver, Transmitter};

mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

static MEMORY: ConstStaticCell<teff::Aligned<[u8; model::MEMORY_LEN]>> =
    ConstStaticCell::new(teff::Aligned([0; model::MEMORY_LEN]));

#[riscv_rt::entry]
fn main() -> ! {
    let embedded = Embedded { model: model::MODEL, ops: model::OPS };
    let Some(device) = DeviceResources::take() else { teff_probe::fail(&"the board's peripherals are taken") };
    let (device, pins) = (device.peripherals, device.pins);
    let clocks = clock::configure(device.PRCI, device.AONCLK, 64.mhz().into());
    let line = (pin!(pins, uart0_tx).into_iof0(), pin!(pins, uart0_rx).into_iof0());
    let (transmitter, receiver) = Serial::new(device.UART0, line, 115_200.bps(), clocks).split();
    let busy = pin!(pins, led_green).into_output();
    let board = Board { frames: Receiver(receiver), results: Transmitter(transmitter), busy };
    teff_probe::run(embedded, &mut MEMORY.take().0, board)
}
