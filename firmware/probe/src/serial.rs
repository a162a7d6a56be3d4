//! Serial lines as `embedded-io` streams, for the HALs that have them only as `embedded-hal-nb` or as another version of
//! `embedded-io`.

use core::fmt::Debug;

use embedded_hal_nb::serial;
use embedded_io::{ErrorKind, ErrorType};
use nb::block;

/// The receiving half of a serial line; waits for a byte, and then takes what has come.
#[derive(Debug)]
pub struct Receiver<S>(pub S);

impl<S> ErrorType for Receiver<S> {
    type Error = ErrorKind;
}

impl<S: serial::Read<Error: Debug>> embedded_io::Read for Receiver<S> {
    fn read(&mut self, to: &mut [u8]) -> Result<usize, ErrorKind> {
        let mut count = 0;
        for slot in to {
            *slot = match self.0.read() {
                Ok(byte) => byte,
                Err(nb::Error::WouldBlock) if count > 0 => break,
                Err(nb::Error::WouldBlock) => block!(self.0.read()).map_err(|_| ErrorKind::Other)?,
                Err(nb::Error::Other(_)) => return Err(ErrorKind::Other),
            };
            count += 1;
        }
        Ok(count)
    }
}

/// The sending half of a serial line.
#[derive(Debug)]
pub struct Transmitter<S>(pub S);

impl<S> ErrorType for Transmitter<S> {
    type Error = ErrorKind;
}

impl<S: serial::Write<Error: Debug>> embedded_io::Write for Transmitter<S> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        for &byte in bytes {
            block!(self.0.write(byte)).map_err(|_| ErrorKind::Other)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        block!(self.0.flush()).map_err(|_| ErrorKind::Other)
    }
}
