//! What the tests of several applications share.

use std::boxed::Box;
use std::path::Path;
use std::vec;
use std::vec::Vec;

use embedded_hal_mock::eh1::serial::{Mock, Transaction};
use embedded_io::ErrorKind;
use teff::Model;

use crate::digits::Embedded;
use crate::serial::{Receiver, Transmitter};

/// A file of the models that are shipped.
pub(crate) fn shipped(file: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models").join(file)).expect("it is shipped")
}

/// A shipped model.
pub(crate) fn embedded(file: &str) -> Embedded {
    let file = shipped(file);
    let model = aligned(file.len());
    model.copy_from_slice(&file);
    Embedded { model, ops: teff::ops::ALL }
}

/// Arena and state for it.
pub(crate) fn memory(embedded: Embedded) -> &'static mut [u8] {
    aligned(Model::verify(embedded.model).expect("the model is valid").memory_len())
}

/// `len` zero bytes at an address that is a multiple of 16, for the rest of the program.
pub(crate) fn aligned(len: usize) -> &'static mut [u8] {
    let bytes = Box::leak(vec![0_u8; len + 15].into_boxed_slice());
    let start = bytes.as_ptr().align_offset(16);
    &mut bytes[start..start + len]
}

/// A stream that gives at most so many bytes at a time, as serial lines do.
pub(crate) struct Trickle<'a>(pub(crate) &'a [u8], pub(crate) usize);

impl embedded_io::ErrorType for Trickle<'_> {
    type Error = ErrorKind;
}

impl embedded_io::Read for Trickle<'_> {
    fn read(&mut self, to: &mut [u8]) -> Result<usize, ErrorKind> {
        let count = to.len().min(self.0.len()).min(self.1);
        let (now, later) = self.0.split_at(count);
        to[..count].copy_from_slice(now);
        self.0 = later;
        Ok(count)
    }
}

/// A mocked serial line, and its two halves: the calls of both are one list.
pub(crate) fn line(calls: &[Transaction<u8>]) -> (Mock<u8>, Receiver<Mock<u8>>, Transmitter<Mock<u8>>) {
    let line = Mock::new(calls);
    (line.clone(), Receiver(line.clone()), Transmitter(line))
}
