//! Words from sound on the Raspberry Pi Pico: a microphone with an amplifier (such as MAX9814 or MAX4466, supplied with 3.3 V)
//! is on GPIO 26; results go out on GPIO 0 (UART0, 115200 baud); the LED is lit while a word is heard.
#![no_std]
#![no_main]

mod microphone;
mod pico;

use rp2040_hal::Sio;
use rp2040_hal::gpio::Pins;
use rp2040_hal::pac::Peripherals;
use teff_app::digits::Embedded;
use teff_app::keyword::{self, Board};
use teff_probe::ConstStaticCell;

mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

static MEMORY: ConstStaticCell<teff::Aligned<[u8; model::MEMORY_LEN]>> =
    ConstStaticCell::new(teff::Aligned([0; model::MEMORY_LEN]));

#[rp2040_hal::entry]
fn main() -> ! {
    let embedded = Embedded { model: model::MODEL, ops: model::OPS };
    let Some(mut device) = Peripherals::take() else { teff_probe::fail(&"the board's peripherals are taken") };
    let (plls, resets) = ((device.PLL_SYS, device.PLL_USB), &mut device.RESETS);
    let clocks = pico::clocks(device.XOSC, device.CLOCKS, plls, device.WATCHDOG, resets);
    let pins = Pins::new(device.IO_BANK0, device.PADS_BANK0, Sio::new(device.SIO).gpio_bank0, resets);
    let line = pico::line(device.UART0, pins.gpio0, pins.gpio1, &clocks, resets);
    let (_, results) = line.split();
    let sound = microphone::start(device.ADC, device.DMA, pins.gpio26, resets);
    let board = Board { sound, results, heard: pins.gpio25.into_push_pull_output() };
    teff_probe::ended(keyword::run(embedded, &mut MEMORY.take().0, board))
}
