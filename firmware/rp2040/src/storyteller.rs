//! The storyteller on the Raspberry Pi Pico: each line that comes in on GPIO 1 begins a story, which goes out on GPIO 0 token
//! by token (UART0, 115200 baud).
#![no_std]
#![no_main]

mod pico;
#[cfg(feature = "slots")]
mod slots;

use rp2040_hal::Sio;
use rp2040_hal::gpio::Pins;
use rp2040_hal::pac::Peripherals;
use teff_app::digits::Embedded;
#[cfg(not(feature = "slots"))]
use teff_app::storyteller;
use teff_app::storyteller::Settings;
use teff_probe::ConstStaticCell;

mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

#[cfg(not(feature = "slots"))]
use model::MEMORY_LEN;
#[cfg(feature = "slots")]
use slots::MEMORY_LEN;

static MEMORY: ConstStaticCell<teff::Aligned<[u8; MEMORY_LEN]>> = ConstStaticCell::new(teff::Aligned([0; MEMORY_LEN]));

#[rp2040_hal::entry]
fn main() -> ! {
    let embedded = Embedded { model: model::MODEL, ops: model::OPS };
    let Some(mut device) = Peripherals::take() else { teff_probe::fail(&"the board's peripherals are taken") };
    let (plls, resets) = ((device.PLL_SYS, device.PLL_USB), &mut device.RESETS);
    let clocks = pico::clocks(device.XOSC, device.CLOCKS, plls, device.WATCHDOG, resets);
    let pins = Pins::new(device.IO_BANK0, device.PADS_BANK0, Sio::new(device.SIO).gpio_bank0, resets);
    let line = pico::line(device.UART0, pins.gpio0, pins.gpio1, &clocks, resets);
    let (prompts, text) = line.split();
    let memory = &mut MEMORY.take().0;
    #[cfg(feature = "slots")]
    teff_probe::slots::run_storyteller(
        slots::flash(device.XIP_SSI),
        &model::PUBLIC_KEY,
        embedded,
        memory,
        Settings::DEMO,
        (prompts, text),
    );
    #[cfg(not(feature = "slots"))]
    teff_probe::ended(storyteller::run(embedded, memory, Settings::DEMO, prompts, text))
}
