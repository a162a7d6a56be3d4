//! The UARTE as two streams. The halves that the HAL makes of it keep no byte order between `embedded-io` writes; the
//! whole moves any number of bytes through its DMA.

use core::cell::RefCell;

use embedded_io::{ErrorKind, ErrorType, Read, Write};
use nrf52840_hal::uarte::{Instance, Uarte};

/// Bytes that are moved at once: DMA reads RAM only, and a result may lie in flash.
const BLOCK: usize = 64;

/// One direction of the line.
pub(crate) struct Half<'l, T>(pub(crate) &'l RefCell<Uarte<T>>);

impl<T> ErrorType for Half<'_, T> {
    type Error = ErrorKind;
}

impl<T: Instance> Read for Half<'_, T> {
    /// Waits until a block, or all of a shorter `to`, is full.
    fn read(&mut self, to: &mut [u8]) -> Result<usize, ErrorKind> {
        let len = to.len().min(BLOCK);
        if len > 0 {
            self.0.borrow_mut().read(&mut to[..len]).map_err(|_| ErrorKind::Other)?;
        }
        Ok(len)
    }
}

impl<T: Instance> Write for Half<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let mut block = [0; BLOCK];
        let len = bytes.len().min(BLOCK);
        block[..len].copy_from_slice(&bytes[..len]);
        if len > 0 {
            self.0.borrow_mut().write(&block[..len]).map_err(|_| ErrorKind::Other)?;
        }
        Ok(len)
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(()) // a write ends when its last byte is sent
    }
}
