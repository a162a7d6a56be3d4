//! The application against mocked parts and parts in memory, with the model that is shipped.

use std::format;
use std::io::ErrorKind::BrokenPipe;
use std::vec;
use std::vec::Vec;

use embedded_hal_mock::eh1::MockError;
use embedded_hal_mock::eh1::digital::{Mock as Pin, State, Transaction as PinCall};
use embedded_hal_mock::eh1::serial::Transaction;
use embedded_hal_nb::nb::Error::{Other, WouldBlock};
use embedded_hal_nb::serial::ErrorKind;
use teff::{Model, Session, VerifyError};

use super::{Board, Embedded, Summary, run};
use crate::serial::LineError;
use crate::testing::{self, Trickle, aligned, line, memory};
use crate::{Error, Mismatch, Unconnected};

/// A pin that is high once for each of so many frames.
fn busy(frames: usize) -> Pin {
    Pin::new(&[State::High, State::Low].repeat(frames).into_iter().map(PinCall::set).collect::<Vec<_>>())
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
fn idle(results: &mut [u8]) -> Board<Trickle<'static>, &mut [u8], Unconnected> {
    Board { frames: trickle(&[]), results, busy: Unconnected }
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
    let (mut results, mut busy) = (vec![0; expected.len()], busy(3));
    let board = Board { frames: trickle(&frames), results: results.as_mut_slice(), busy: &mut busy };
    let summary = run(embedded, memory(embedded), board);
    busy.done();
    assert_eq!(summary, Ok(Summary { frames: 3, crc: teff::crc32(&expected) }));
    assert_eq!(results, expected);
}

/// As on a board: each output is on the line before the next frame is looked for, and the line never ends well.
#[test]
fn frames_and_outputs_take_turns_on_a_serial_line() {
    let embedded = embedded();
    let (frames, outputs) = noise(embedded, 3);
    let turns = frames.chunks(frames.len() / 3).zip(outputs.chunks(outputs.len() / 3));
    let mut calls: Vec<_> = turns
        .flat_map(|(frame, output)| {
            let (first, rest) = frame.split_at(100);
            let pause = Transaction::read_error(WouldBlock);
            [pause, Transaction::read_many(first), Transaction::read_error(WouldBlock), Transaction::read_many(rest)]
                .into_iter()
                .chain([Transaction::write_many(output)])
        })
        .collect();
    calls.push(Transaction::read_error(Other(ErrorKind::Overrun)));
    let ((mut line, frames, results), mut busy) = (line(&calls), busy(3));
    let outcome = run(embedded, memory(embedded), Board { frames, results, busy: &mut busy });
    line.done();
    busy.done();
    assert_eq!(outcome, Err(Error::Read(LineError(ErrorKind::Overrun))));
}

#[test]
fn a_line_that_breaks_within_a_frame_gets_no_output() {
    let embedded = embedded();
    let (frames, _) = noise(embedded, 1);
    let calls = [Transaction::read_many(&frames[1..]), Transaction::read_error(Other(ErrorKind::Noise))];
    let ((mut line, frames, results), mut busy) = (line(&calls), busy(0));
    let outcome = run(embedded, memory(embedded), Board { frames, results, busy: &mut busy });
    line.done();
    busy.done();
    assert_eq!(outcome, Err(Error::Read(LineError(ErrorKind::Noise))));
}

#[test]
fn an_output_that_cannot_be_written_ends_it() {
    let embedded = embedded();
    let (frames, outputs) = noise(embedded, 1);
    let calls = [
        Transaction::read_many(&frames),
        Transaction::write_many(&outputs[..3]),
        Transaction::write_error(outputs[3], Other(ErrorKind::Other)),
    ];
    let ((mut line, frames, results), mut busy) = (line(&calls), busy(1));
    let outcome = run(embedded, memory(embedded), Board { frames, results, busy: &mut busy });
    line.done();
    busy.done();
    assert_eq!(outcome, Err(Error::Write(LineError(ErrorKind::Other))));
}

#[test]
fn a_pin_that_cannot_be_set_ends_it() {
    let embedded = embedded();
    let (frames, _) = noise(embedded, 1);
    let error = MockError::Io(BrokenPipe);
    for calls in [
        vec![PinCall::set(State::High).with_error(error.clone())],
        vec![PinCall::set(State::High), PinCall::set(State::Low).with_error(error.clone())],
    ] {
        let ((mut line, frames, results), mut busy) = (line(&[Transaction::read_many(&frames)]), Pin::new(&calls));
        let outcome = run(embedded, memory(embedded), Board { frames, results, busy: &mut busy });
        line.done();
        busy.done();
        assert_eq!(outcome, Err(Error::Pin(error.clone())));
    }
}

#[test]
fn an_empty_stream_is_no_error() {
    let embedded = embedded();
    assert_eq!(run(embedded, memory(embedded), idle(&mut [])), Ok(Summary { frames: 0, crc: 0 }));
}

#[test]
fn a_partial_frame_is_an_error() {
    let embedded = embedded();
    let (frames, _) = noise(embedded, 2);
    let (mut results, mut busy) = ([0; 100], busy(1));
    let board = Board { frames: trickle(&frames[..frames.len() - 1]), results: &mut results[..], busy: &mut busy };
    let needed = frames.len() / 2;
    let outcome = run(embedded, memory(embedded), board);
    busy.done();
    assert_eq!(outcome, Err(Error::PartialFrame { needed, found: needed - 1 }));
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

/// Of whose inputs the first alone would be read.
#[test]
fn a_model_with_several_inputs_is_refused() {
    let storyteller = testing::embedded("storyteller/model.teff");
    let mut results = [0; 100];
    let outcome = run(storyteller, memory(storyteller), idle(&mut results));
    assert_eq!(outcome, Err(Error::Interface(Mismatch::SeveralInputs)));
    assert!(format!("{}", outcome.unwrap_err()).ends_with("it has more than one input"));
}
