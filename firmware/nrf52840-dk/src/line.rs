//! The board's USB serial port: the UARTE as two streams. The halves that the HAL makes of it keep no byte order between
//! `embedded-io` writes; the whole moves any number of bytes through its DMA.

use core::cell::RefCell;

use embedded_io::{ErrorKind, ErrorType, Read, Write};
use nrf52840_hal::gpio::p0::{P0_05, P0_06, P0_07, P0_08};
use nrf52840_hal::gpio::{Disconnected, Level};
use nrf52840_hal::pac::UARTE0;
use nrf52840_hal::uarte::{Baudrate, Instance, Parity, Pins, Uarte};

/// Bytes that are moved at once: DMA reads RAM only, and a result may lie in flash.
const BLOCK: usize = 64;

/// The pins on which bytes go out and come in.
pub(crate) type DataPins = (P0_06<Disconnected>, P0_08<Disconnected>);
/// CTS and RTS, with which the receiver holds the sender back.
pub(crate) type FlowPins = (P0_07<Disconnected>, P0_05<Disconnected>);

/// The port.
pub(crate) fn usb(uarte: UARTE0, data: DataPins, flow: Option<FlowPins>, baud: Baudrate) -> Uarte<UARTE0> {
    let (cts, rts) = flow.unzip();
    let pins = Pins {
        txd: data.0.into_push_pull_output(Level::High).degrade(),
        rxd: data.1.into_floating_input().degrade(),
        cts: cts.map(|pin| pin.into_floating_input().degrade()),
        rts: rts.map(|pin| pin.into_push_pull_output(Level::High).degrade()),
    };
    Uarte::new(uarte, pins, Parity::EXCLUDED, baud)
}

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
