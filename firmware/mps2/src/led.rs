//! The user LED 0 of the board, a bit of the FPGA's I/O block.
#![allow(unsafe_code)]

use core::convert::Infallible;

use embedded_hal::digital::{ErrorType, OutputPin};

/// Register LED0, the first of the block FPGAIO: application notes AN386 (AN385 and AN500 are alike), AN505 and AN547, "FPGA
/// system control and I/O"; of the last two the address on the secure side, on which the firmware runs.
const LED0: *mut u32 = match () {
    #[cfg(map = "mps2")]
    () => 0x4002_8000,
    #[cfg(map = "an505")]
    () => 0x5030_2000,
    #[cfg(map = "an547")]
    () => 0x5930_2000,
} as *mut u32;
const USER_LED_0: u32 = 1;

/// User LED 0.
pub(crate) struct Led {
    _private: (),
}

impl Led {
    /// The LED, dark.
    pub(crate) fn new() -> Self {
        let mut led = Self { _private: () };
        led.write(0);
        led
    }

    fn write(&mut self, bits: u32) {
        // SAFETY: the address is a register of this board, aligned to 4, that is always mapped; writing it changes the
        // LEDs and nothing that Rust knows of.
        unsafe { LED0.write_volatile(bits) }
    }
}

impl ErrorType for Led {
    type Error = Infallible;
}

impl OutputPin for Led {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.write(0);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.write(USER_LED_0);
        Ok(())
    }
}
