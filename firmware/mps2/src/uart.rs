//! UART 0 of the board: the APB UART of Arm's Cortex-M System Design Kit.

use core::convert::Infallible;

use embedded_io::{ErrorType, Read, Write};

/// Address, and frequency of its clock: application notes AN386 (AN385 and AN500 are alike), AN505 and AN547; of the last two
/// the address on the secure side, on which the firmware runs.
const UART0: (usize, u32) = match () {
    #[cfg(map = "mps2")]
    () => (0x4000_4000, 25_000_000),
    #[cfg(map = "an505")]
    () => (0x5020_0000, 20_000_000),
    #[cfg(map = "an547")]
    () => (0x5930_3000, 25_000_000),
};
/// Registers: the data, the state, the control and the divider of the bit rate.
const DATA: *mut u32 = UART0.0 as *mut u32;
const STATE: *mut u32 = (UART0.0 + 4) as *mut u32;
const CONTROL: *mut u32 = (UART0.0 + 8) as *mut u32;
const DIVIDER: *mut u32 = (UART0.0 + 16) as *mut u32;

const SEND_FULL: u32 = 1;
const RECEIVE_FULL: u32 = 2;
/// Bits per second.
const BAUD: u32 = 115_200;

/// UART 0.
pub(crate) struct Uart(());

/// Its receiving half.
pub(crate) struct Input(());

/// Its sending half.
pub(crate) struct Output(());

impl Uart {
    /// Turns it on.
    pub(crate) fn take() -> Self {
        // SAFETY: the addresses are registers of this board, aligned to 4, always mapped; nothing else uses them.
        unsafe {
            DIVIDER.write_volatile(UART0.1 / BAUD);
            CONTROL.write_volatile(3); // send and receive
        }
        Self(())
    }

    /// Its two halves.
    pub(crate) fn split(self) -> (Input, Output) {
        (Input(()), Output(()))
    }
}

/// Waits until `bit` of the state is `wanted`.
fn wait(bit: u32, wanted: bool) {
    // SAFETY: as in `take`; reading the state changes nothing.
    while (unsafe { STATE.read_volatile() } & bit != 0) != wanted {
        core::hint::spin_loop();
    }
}

impl ErrorType for Input {
    type Error = Infallible;
}

impl Read for Input {
    /// Waits for a byte.
    fn read(&mut self, to: &mut [u8]) -> Result<usize, Infallible> {
        let Some(slot) = to.first_mut() else { return Ok(0) };
        wait(RECEIVE_FULL, true);
        // SAFETY: as in `take`; a byte is there, and this takes it.
        *slot = unsafe { DATA.read_volatile() } as u8;
        Ok(1)
    }
}

impl ErrorType for Output {
    type Error = Infallible;
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for &byte in bytes {
            wait(SEND_FULL, false);
            // SAFETY: as in `take`; there is room for a byte.
            unsafe { DATA.write_volatile(byte.into()) }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        wait(SEND_FULL, false);
        Ok(())
    }
}
