//! The application against parts in memory, with the model that is shipped.

use core::convert::Infallible;
use std::format;
use std::vec;
use std::vec::Vec;

use embedded_hal::digital::{ErrorType, OutputPin};
use embedded_io::ErrorKind;
use teff::{Model, Session, VerifyError};

use super::{Board, Embedded, Summary, run};
use crate::Error;
use crate::testing::{self, Trickle, aligned, memory};

/// A pin that remembers how it was set.
#[derive(Default)]
struct Pin(Vec<bool>);

impl ErrorType for Pin {
    type Error = Infallible;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.0.push(false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.0.push(true);
        Ok(())
    }
}

/// A stream that breaks.
struct Broken;

impl embedded_io::ErrorType for Broken {
    type Error = ErrorKind;
}

impl embedded_io::Read for Broken {
    fn read(&mut self, _to: &mut [u8]) -> Result<usize, ErrorKind> {
        Err(ErrorKind::ConnectionReset)
    }
}

/// The shipped model.
fn embedded() -> Embedded {
    testing::embedded("lightcnn-mnist/model.teff")
}

/// Few bytes at a time.
fn trickle(bytes: &[u8]) -> Trickle<'_> {
    Trickle(bytes, 37)
}

/// A board that has no frames.
fn idle(results: &mut [u8]) -> Board<Trickle<'static>, &mut [u8], Pin> {
    Board { frames: trickle(&[]), results, busy: Pin::default() }
}

/// Frames of noise, and the outputs that a plain session gives for them.
fn noise(embedded: Embedded, frames: usize) -> (Vec<u8>, Vec<u8>) {
    let model = Model::verify(embedded.model).expect("the model is valid");
    let mut session = Session::new(&model, memory(embedded)).expect("the memory is large enough");
    let mut seed = 1_u32;
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    for _ in 0..frames {
        for byte in session.input(0).expect("there is an input").iter_mut() {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = seed.to_be_bytes()[0];
            inputs.push(*byte);
        }
        session.run().expect("the model runs");
        outputs.extend_from_slice(session.output(0).expect("there is an output"));
    }
    (inputs, outputs)
}

#[test]
fn every_frame_gives_the_outputs_of_a_session() {
    let embedded = embedded();
    let (frames, expected) = noise(embedded, 3);
    let (mut results, mut busy) = (vec![0; expected.len()], Pin::default());
    let board = Board { frames: trickle(&frames), results: results.as_mut_slice(), busy: &mut busy };
    let summary = run(embedded, memory(embedded), board);
    assert_eq!(summary, Ok(Summary { frames: 3, crc: teff::crc32(&expected) }));
    assert_eq!(results, expected);
    assert_eq!(busy.0, [true, false].repeat(3));
}

#[test]
fn an_empty_stream_is_no_error() {
    let embedded = embedded();
    let board = Board { frames: trickle(&[]), results: [0; 0].as_mut_slice(), busy: Pin::default() };
    assert_eq!(run(embedded, memory(embedded), board), Ok(Summary { frames: 0, crc: 0 }));
}

#[test]
fn a_partial_frame_is_an_error() {
    let embedded = embedded();
    let (frames, _) = noise(embedded, 2);
    let mut results = [0; 100];
    let board = Board { frames: trickle(&frames[..frames.len() - 1]), results: &mut results[..], busy: Pin::default() };
    let needed = frames.len() / 2;
    assert_eq!(run(embedded, memory(embedded), board), Err(Error::PartialFrame { needed, found: needed - 1 }));
}

#[test]
fn errors_of_the_parts_come_back() {
    let embedded = embedded();
    let (frames, _) = noise(embedded, 1);
    let mut results = [0; 100];
    let broken = Board { frames: Broken, results: &mut results[..], busy: Pin::default() };
    assert_eq!(run(embedded, memory(embedded), broken), Err(Error::Read(ErrorKind::ConnectionReset)));
    let full = Board { frames: trickle(&frames), results: &mut results[..1], busy: Pin::default() };
    let outcome = run(embedded, memory(embedded), full);
    assert!(matches!(outcome, Err(Error::Write(_))), "{outcome:?}");
}

#[test]
fn a_damaged_model_and_small_memory_are_errors() {
    let embedded = embedded();
    let mut results = [0; 100];
    let outcome = run(embedded, aligned(16), idle(&mut results));
    assert!(matches!(outcome, Err(Error::Session(_))), "{outcome:?}");

    let damaged = aligned(embedded.model.len());
    damaged.copy_from_slice(embedded.model);
    damaged[0] ^= 1;
    let outcome = run(Embedded { model: damaged, ..embedded }, memory(embedded), idle(&mut results));
    assert_eq!(outcome, Err(Error::Verify(VerifyError::BadMagic)));
    assert!(format!("{}", outcome.unwrap_err()).contains("not valid"));
}
