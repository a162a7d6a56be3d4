//! What an application begins with on this board: the image that the boot ROM looks for, the clocks and the serial line.
#![allow(unsafe_code)] // link_section and an entry in assembly only: no block of unsafe code here.

use rp235x_hal::Watchdog;
use rp235x_hal::block::ImageDef;
use rp235x_hal::clocks::{Clock, ClocksManager, init_clocks_and_plls};
use rp235x_hal::gpio::bank0::{Gpio0, Gpio1};
use rp235x_hal::gpio::{FunctionNull, FunctionUart, Pin, PullDown};
use rp235x_hal::pac::{CLOCKS, PLL_SYS, PLL_USB, RESETS, UART0, WATCHDOG, XOSC};
use rp235x_hal::uart::{Enabled, UartConfig, UartPeripheral};

/// What the boot ROM looks for in the first 4 KB of flash.
// SAFETY: the section is the one that the linker script puts there, and this is the only item in it.
#[unsafe(link_section = ".start_block")]
#[used]
static IMAGE: ImageDef = ImageDef::secure_exe();

// The boot ROM enters a RISC-V image at its first instruction.
#[cfg(target_arch = "riscv32")]
core::arch::global_asm!(".section .boot_entry, \"ax\"", "j _start");

/// Frequency of the board's crystal.
const CRYSTAL_HZ: u32 = 12_000_000;

/// Sets up the clocks: 150 MHz for the processor.
pub(crate) fn clocks(
    xosc: XOSC,
    clocks: CLOCKS,
    plls: (PLL_SYS, PLL_USB),
    watchdog: WATCHDOG,
    resets: &mut RESETS,
) -> ClocksManager {
    let mut watchdog = Watchdog::new(watchdog);
    match init_clocks_and_plls(CRYSTAL_HZ, xosc, clocks, plls.0, plls.1, resets, &mut watchdog) {
        Ok(clocks) => clocks,
        Err(_) => teff_probe::fail(&"the clocks cannot be set up"),
    }
}

/// A pin as it is after reset.
type Fresh<I> = Pin<I, FunctionNull, PullDown>;
/// A pin of the serial line.
type OfLine<I> = Pin<I, FunctionUart, PullDown>;
/// The serial line.
pub(crate) type Line = UartPeripheral<Enabled, UART0, (OfLine<Gpio0>, OfLine<Gpio1>)>;

/// UART0: what goes out on GPIO 0 and what comes in on GPIO 1, at 115200 baud.
pub(crate) fn line(
    uart: UART0,
    transmit: Fresh<Gpio0>,
    receive: Fresh<Gpio1>,
    clocks: &ClocksManager,
    resets: &mut RESETS,
) -> Line {
    let line = UartPeripheral::new(uart, (transmit.into_function(), receive.into_function()), resets);
    // 115200 baud, 8 bits, no parity, 1 stop bit
    match line.enable(UartConfig::default(), clocks.peripheral_clock.freq()) {
        Ok(line) => line,
        Err(_) => teff_probe::fail(&"the serial line cannot be set up"),
    }
}
