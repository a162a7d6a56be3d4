//! Serial lines as `embedded-io` streams, for the HALs that have them only as `embedded-hal-nb` or as another version of
//! `embedded-io`.

use core::cell::RefCell;
use core::fmt;

use embedded_hal_nb::nb::{self, block};
use embedded_hal_nb::serial::{self, Error as _};
use embedded_io::ErrorType;

/// The receiving half of a serial line; waits for a byte, and then takes what has come.
#[derive(Debug)]
pub struct Receiver<S>(pub S);

/// The sending half of a serial line.
#[derive(Debug)]
pub struct Transmitter<S>(pub S);

/// What went wrong on the line: an overrun says that bytes came faster than the application took them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineError(pub serial::ErrorKind);

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the serial line: {:?}", self.0)
    }
}

impl core::error::Error for LineError {}

impl embedded_io::Error for LineError {
    fn kind(&self) -> embedded_io::ErrorKind {
        match self.0 {
            serial::ErrorKind::FrameFormat | serial::ErrorKind::Parity | serial::ErrorKind::Noise => {
                embedded_io::ErrorKind::InvalidData
            }
            _ => embedded_io::ErrorKind::Other,
        }
    }
}

/// One direction of a line that the HAL has as a whole.
#[derive(Debug)]
pub struct Half<'l, S>(pub &'l RefCell<S>);

impl<S: ErrorType> ErrorType for Half<'_, S> {
    type Error = S::Error;
}

impl<S: embedded_io::Read> embedded_io::Read for Half<'_, S> {
    fn read(&mut self, to: &mut [u8]) -> Result<usize, S::Error> {
        self.0.borrow_mut().read(to)
    }
}

impl<S: embedded_io::Write> embedded_io::Write for Half<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, S::Error> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> Result<(), S::Error> {
        self.0.borrow_mut().flush()
    }
}

impl<S> ErrorType for Receiver<S> {
    type Error = LineError;
}

impl<S> ErrorType for Transmitter<S> {
    type Error = LineError;
}

impl<S: serial::Read> embedded_io::Read for Receiver<S> {
    fn read(&mut self, to: &mut [u8]) -> Result<usize, LineError> {
        let mut count = 0_usize;
        for slot in to {
            *slot = match self.0.read() {
                Err(nb::Error::WouldBlock) if count > 0 => break,
                Err(nb::Error::WouldBlock) => block!(self.0.read()).map_err(|error| LineError(error.kind()))?,
                Err(nb::Error::Other(error)) => return Err(LineError(error.kind())),
                Ok(byte) => byte,
            };
            count = count.saturating_add(1);
        }
        Ok(count)
    }
}

impl<S: serial::Write> embedded_io::Write for Transmitter<S> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, LineError> {
        for &byte in bytes {
            block!(self.0.write(byte)).map_err(|error| LineError(error.kind()))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), LineError> {
        block!(self.0.flush()).map_err(|error| LineError(error.kind()))
    }
}

#[cfg(test)]
mod tests;
