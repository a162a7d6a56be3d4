//! Teff on the Raspberry Pi Pico 2 (RP2350, 4 MB flash, 520 KB RAM), on its Cortex-M33 or its RISC-V cores.
//!
//! Frames come in on GPIO 1 and outputs go out on GPIO 0 (UART0, 115200 baud); the LED is lit while the model runs.
#![no_std]
#![no_main]
#![allow(missing_docs)] // the attribute `entry` makes a public function of main
#![allow(unsafe_code)] // link_section and an entry in assembly only: no block of unsafe code.

#[cfg(feature = "slots")]
mod slots;

use rp235x_hal::clocks::{Clock, init_clocks_and_plls};
use rp235x_hal::gpio::Pins;
use rp235x_hal::pac::Peripherals;
use rp235x_hal::uart::{UartConfig, UartPeripheral};
use rp235x_hal::{Sio, Watchdog};
use teff_app::digits::{Board, Embedded};
use teff_probe::ConstStaticCell;

/// What the boot ROM looks for in the first 4 KB of flash.
// SAFETY: the section is the one that the linker script puts there, and this is the only item in it.
#[unsafe(link_section = ".start_block")]
#[used]
static IMAGE: rp235x_hal::block::ImageDef = rp235x_hal::block::ImageDef::secure_exe();

// The boot ROM enters a RISC-V image at its first instruction.
#[cfg(target_arch = "riscv32")]
core::arch::global_asm!(".section .boot_entry, \"ax\"", "j _start");

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

#[rp235x_hal::entry]
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
    teff_probe::slots::run(slots::flash(device.QMI), &model::PUBLIC_KEY, embedded, memory, board);
    #[cfg(not(feature = "slots"))]
    teff_probe::run(embedded, memory, board)
}
