//! Teff on the Raspberry Pi Pico (RP2040: Cortex-M0+, 2 MB flash, 264 KB RAM).
//!
//! Frames come in on GPIO 1 and outputs go out on GPIO 0 (UART0, 115200 baud); the LED is lit while the model runs.
#![no_std]
#![no_main]
#![allow(unsafe_code)] // link_section only: no block of unsafe code here.

#[cfg(feature = "slots")]
mod slots;

use rp2040_hal::clocks::{Clock, init_clocks_and_plls};
use rp2040_hal::gpio::Pins;
use rp2040_hal::pac::Peripherals;
use rp2040_hal::uart::{UartConfig, UartPeripheral};
use rp2040_hal::{Sio, Watchdog};
use teff_app::digits::{Board, Embedded};
use teff_probe::ConstStaticCell;

/// What the boot ROM runs first: it sets up the flash.
// SAFETY: the section is the one that the boot ROM reads, and this is the only item in it.
#[unsafe(link_section = ".boot2")]
#[used]
static BOOT2: [u8; 256] = rp2040_boot2::BOOT_LOADER_GENERIC_03H;

/// Frequency of the board's crystal.
const CRYSTAL_HZ: u32 = 12_000_000;

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
    let mut watchdog = Watchdog::new(device.WATCHDOG);
    let (xosc, clocks, resets) = (device.XOSC, device.CLOCKS, &mut device.RESETS);
    let Ok(clocks) =
        init_clocks_and_plls(CRYSTAL_HZ, xosc, clocks, device.PLL_SYS, device.PLL_USB, resets, &mut watchdog)
    else {
        teff_probe::fail(&"the clocks cannot be set up")
    };
    let pins = Pins::new(device.IO_BANK0, device.PADS_BANK0, Sio::new(device.SIO).gpio_bank0, resets);
    let line = UartPeripheral::new(device.UART0, (pins.gpio0.into_function(), pins.gpio1.into_function()), resets);
    // 115200 baud, 8 bits, no parity, 1 stop bit
    let Ok(line) = line.enable(UartConfig::default(), clocks.peripheral_clock.freq()) else {
        teff_probe::fail(&"the serial line cannot be set up")
    };
    let (frames, results) = line.split();
    let board = Board { frames, results, busy: pins.gpio25.into_push_pull_output() };
    let memory = &mut MEMORY.take().0;
    #[cfg(feature = "slots")]
    let embedded = slots::select(device.XIP_SSI, embedded, memory);
    teff_probe::run(embedded, memory, board)
}
