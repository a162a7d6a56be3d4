//! The board's USB serial port. The HAL's driver waits for a byte to be sent before it sends the first, and sends a zero to that end.
#![allow(unsafe_code)]

use core::convert::Infallible;
use core::hint::spin_loop;

use embedded_io::{ErrorType, Read, Write};
use microbit::hal::uart::{Baudrate, Pins};
use microbit::pac::UART0;

/// The port, 8 bits, no parity, one stop bit.
pub(crate) struct Port(UART0);

impl Port {
    /// Starts it.
    pub(crate) fn new(uart: UART0, pins: Pins, baud: Baudrate) -> Self {
        uart.baudrate.write(|w| w.baudrate().variant(baud));
        // SAFETY: the numbers are those of pins, which are the port's from now on; a task is started by a 1.
        unsafe {
            uart.pseltxd.write(|w| w.bits(pins.txd.pin().into()));
            uart.pselrxd.write(|w| w.bits(pins.rxd.pin().into()));
            uart.enable.write(|w| w.enable().enabled());
            uart.tasks_starttx.write(|w| w.bits(1));
            uart.tasks_startrx.write(|w| w.bits(1));
        }
        Self(uart)
    }
}

impl ErrorType for Port {
    type Error = Infallible;
}

impl Read for Port {
    /// Waits for a byte.
    fn read(&mut self, to: &mut [u8]) -> Result<usize, Infallible> {
        let Some(to) = to.first_mut() else { return Ok(0) };
        while self.0.events_rxdrdy.read().bits() == 0 {
            spin_loop();
        }
        self.0.events_rxdrdy.reset();
        *to = self.0.rxd.read().rxd().bits();
        Ok(1)
    }
}

impl Write for Port {
    /// Waits until they are sent.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for &byte in bytes {
            self.0.events_txdrdy.reset();
            // SAFETY: any byte can be sent.
            self.0.txd.write(|w| unsafe { w.txd().bits(byte) });
            while self.0.events_txdrdy.read().bits() == 0 {
                spin_loop();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
