//! What every application begins with on this board: the boot loader, the clocks and the serial line.
#![allow(unsafe_code)] // link_section only: no block of unsafe code here.

use rp2040_hal::Watchdog;
use rp2040_hal::clocks::{Clock, ClocksManager, init_clocks_and_plls};
use rp2040_hal::gpio::bank0::{Gpio0, Gpio1};
use rp2040_hal::gpio::{FunctionNull, FunctionUart, Pin, PullDown};
use rp2040_hal::pac::{CLOCKS, PLL_SYS, PLL_USB, RESETS, UART0, WATCHDOG, XOSC};
use rp2040_hal::uart::{Enabled, UartConfig, UartPeripheral};

/// What the boot ROM runs first: it sets up the flash.
// SAFETY: the section is the one that the boot ROM reads, and this is the only item in it.
#[unsafe(link_section = ".boot2")]
#[used]
static BOOT2: [u8; 256] = rp2040_boot2::BOOT_LOADER_GENERIC_03H;

/// Frequency of the board's crystal.
const CRYSTAL_HZ: u32 = 12_000_000;

/// Sets up the clocks: 125 MHz for the processor.
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
