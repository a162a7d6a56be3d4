//! Teff on the ESP32-C3 (RV32IMC, 4 MB flash, 400 KB RAM).
//!
//! Frames come in on GPIO 20 and outputs go out on GPIO 21 (UART0, 115200 baud), the board's serial port; GPIO 8 is high
//! while the model runs.
#![no_std]
#![no_main]

#[cfg(feature = "slots")]
mod slots;

use esp_hal::gpio::{Level, Output, OutputConfig};
use esp_hal::uart::{Config, Uart};
use teff_app::digits::{Board, Embedded};
use teff_probe::ConstStaticCell;

esp_bootloader_esp_idf::esp_app_desc!();

mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

#[cfg(not(feature = "slots"))]
use model::MEMORY_LEN;
#[cfg(feature = "slots")]
use slots::MEMORY_LEN;

static MEMORY: ConstStaticCell<teff::Aligned<[u8; MEMORY_LEN]>> = ConstStaticCell::new(teff::Aligned([0; MEMORY_LEN]));

#[esp_hal::main]
fn main() -> ! {
    let embedded = Embedded { model: model::MODEL, ops: model::OPS };
    let device = esp_hal::init(esp_hal::Config::default());
    let Ok(line) = Uart::new(device.UART0, Config::default()) else {
        teff_probe::fail(&"the serial line cannot be set up")
    };
    let (frames, results) = line.with_rx(device.GPIO20).with_tx(device.GPIO21).split();
    let busy = Output::new(device.GPIO8, Level::Low, OutputConfig::default());
    let (memory, board) = (&mut MEMORY.take().0, Board { frames, results, busy });
    #[cfg(feature = "slots")]
    teff_probe::slots::run(slots::flash(device.FLASH), &model::PUBLIC_KEY, embedded, memory, board);
    #[cfg(not(feature = "slots"))]
    teff_probe::run(embedded, memory, board)
}
