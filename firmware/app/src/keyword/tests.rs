//! The application against mocked parts and parts in memory, with the model and the sound that are shipped.

use std::io::ErrorKind::BrokenPipe;
use std::string::String;
use std::vec;
use std::vec::Vec;

use embedded_hal_mock::eh1::MockError;
use embedded_hal_mock::eh1::digital::{Mock as Pin, State, Transaction};
use embedded_hal_mock::eh1::serial::Transaction as LineCall;
use embedded_hal_nb::nb::Error::Other;
use embedded_hal_nb::serial::ErrorKind;
use teff::{Model, Session, crc32};

use super::detector::Detector;
use super::features::{BANDS, FrontEnd, HOP, RATE};
use super::{Board, NOTHING, RESULT, Summary, check, run};
use crate::digits::Embedded;
use crate::serial::LineError;
use crate::testing::{Trickle, embedded, line, memory, shipped};
use crate::{Error, Mismatch, Unconnected};

fn streaming() -> Embedded {
    embedded("keyword/streaming.teff")
}

/// The samples of words.wav, of which the header has 44 bytes.
fn words() -> Vec<u8> {
    shipped("keyword/words.wav").split_off(44)
}

#[test]
fn the_words_of_a_voice_that_training_never_heard_are_heard() {
    let embedded = streaming();
    let model = Model::verify(embedded.model).expect("the model is valid");
    let labels: Vec<&str> = model.labels().collect();
    let sound = words();
    let hops = sound.len() / 2 / HOP;
    let mut results = vec![0; RESULT * hops];
    // Low at first, then high and low again for each word: the words are well apart.
    let each = (0..10).flat_map(|_| [State::High, State::Low]);
    let expected: Vec<Transaction> = [State::Low].into_iter().chain(each).map(Transaction::set).collect();
    let mut pin = Pin::new(&expected);
    let board = Board { sound: Trickle(&sound, 101), results: results.as_mut_slice(), heard: &mut pin };
    let summary = run(embedded, memory(embedded), board).expect("the application runs");
    pin.done();

    results.truncate(RESULT * summary.runs as usize);
    // The first frame takes 480 samples, the others 320 more each; two frames are a run.
    let frames = (sound.len() / 2 - 480) / HOP + 1;
    assert_eq!((summary.runs as usize, summary.crc), (frames / 2, crc32(&results)));
    let states: Vec<u8> = results.iter().step_by(RESULT).copied().collect();
    let begins = states.iter().zip([NOTHING].iter().chain(&states)).filter(|(now, before)| now != before);
    let heard: Vec<&str> = begins.filter(|&(&now, _)| now != NOTHING).map(|(&now, _)| labels[now as usize]).collect();
    assert_eq!(heard, labels[2..], "and neither garden, window nor seven");
    assert_eq!(summary.words, 10);
}

/// The results of some sound, step by step, and whether a word is heard after each.
fn by_hand(sound: &[u8]) -> Vec<([u8; RESULT], bool)> {
    let embedded = streaming();
    let model = Model::verify(embedded.model).expect("the model is valid");
    let mut session = Session::new(&model, memory(embedded)).expect("the memory is large enough");
    let samples: Vec<i16> = sound.as_chunks().0.iter().map(|&pair| i16::from_le_bytes(pair)).collect();
    let (mut front_end, mut frames) = (FrontEnd::new(), Vec::new());
    front_end.feed(&samples, |levels| frames.push(*levels));
    let mut detector = Detector::new();
    let mut step = |(run, frames): (usize, &[[u8; BANDS]; 2])| {
        let levels = frames.iter().flatten();
        session.input(0).unwrap().iter_mut().zip(levels).for_each(|(slot, level)| *slot = level ^ 0x80);
        session.run().expect("the model runs");
        // A second has 25 runs.
        if run < 25 {
            return ([NOTHING, 0, 0], false);
        }
        let verdict = detector.take(session.output_i8(0).unwrap());
        ([verdict.word.unwrap_or(NOTHING), verdict.best, verdict.score], verdict.word.is_some())
    };
    frames.as_chunks().0.iter().enumerate().map(&mut step).collect()
}

/// Samples come in, results go out as soon as their samples are there, and the light follows, until the line breaks.
#[test]
fn sound_and_results_share_a_serial_line() {
    // Until the first word has passed.
    let sound = &words()[..2 * 3 * RATE as usize];
    let results = by_hand(sound);
    let (mut calls, mut lights, mut lit) = (Vec::new(), vec![Transaction::set(State::Low)], false);
    for (hop, samples) in sound.chunks(2 * HOP).enumerate() {
        calls.push(LineCall::read_many(samples));
        // The first frame wants one and a half hops, each other one more; two are a run.
        if let Some(&(result, heard)) = hop.checked_sub(2).filter(|hops| hops % 2 == 0).and_then(|i| results.get(i / 2))
        {
            if heard != lit {
                lit = heard;
                lights.push(Transaction::set(if lit { State::High } else { State::Low }));
            }
            calls.push(LineCall::write_many(result));
        }
    }
    assert!(lights.len() >= 3 && results.len() == 74, "a word is in it: {} {}", lights.len(), results.len());
    calls.push(LineCall::read_error(Other(ErrorKind::Overrun)));
    let ((mut line, sound, results), mut heard) = (line(&calls), Pin::new(&lights));
    let embedded = streaming();
    let outcome = run(embedded, memory(embedded), Board { sound, results, heard: &mut heard });
    line.done();
    heard.done();
    assert_eq!(outcome, Err(Error::Read(LineError(ErrorKind::Overrun))));
}

#[test]
fn errors_of_the_parts_come_back() {
    let embedded = streaming();
    // Three hops of silence are two frames and a run.
    let calls = [LineCall::read_many([0; 2 * 3 * HOP]), LineCall::write_error(NOTHING, Other(ErrorKind::Other))];
    let (mut wire, sound, results) = line(&calls);
    let outcome = run(embedded, memory(embedded), Board { sound, results, heard: Unconnected });
    wire.done();
    assert_eq!(outcome, Err(Error::Write(LineError(ErrorKind::Other))));

    let error = MockError::Io(BrokenPipe);
    let ((mut wire, sound, results), mut pin) =
        (line(&[]), Pin::new(&[Transaction::set(State::Low).with_error(error.clone())]));
    let outcome = run(embedded, memory(embedded), Board { sound, results, heard: &mut pin });
    wire.done();
    pin.done();
    assert_eq!(outcome, Err(Error::Pin(error)));
}

#[test]
fn the_first_second_and_silence_have_no_words() {
    let embedded = streaming();
    let mut results = vec![0; 2 * RESULT * 25];
    let mut pin = Pin::new(&[Transaction::set(State::Low)]);
    let silence = vec![0; 2 * 2 * RATE as usize];
    let board = Board { sound: Trickle(&silence, 101), results: results.as_mut_slice(), heard: &mut pin };
    let summary = run(embedded, memory(embedded), board).expect("the application runs");
    pin.done();
    // 99 frames.
    assert_eq!((summary.runs, summary.words), (49, 0));
    assert!(results[..RESULT * 25].as_chunks().0.iter().all(|result| result == &[NOTHING, 0, 0]));
    let [word, best, score] = results[RESULT * 48..RESULT * 49] else { panic!("three bytes") };
    assert_eq!((word, best), (NOTHING, 0), "silence");
    assert!(score > 200, "{score}");
}

#[test]
fn half_a_sample_is_an_error() {
    let embedded = streaming();
    let (mut pin, mut results) = (Pin::new(&[Transaction::set(State::Low)]), [0; 9]);
    let board = Board { sound: Trickle(&[0; 1_001], 101), results: results.as_mut_slice(), heard: &mut pin };
    let outcome = run(embedded, memory(embedded), board);
    pin.done();
    assert_eq!(outcome, Err(Error::PartialFrame { needed: 2, found: 1 }));
}

#[test]
fn an_empty_stream_is_no_error() {
    let embedded = streaming();
    let mut pin = Pin::new(&[Transaction::set(State::Low)]);
    let board = Board { sound: Trickle(&[], 101), results: [0; 0].as_mut_slice(), heard: &mut pin };
    let outcome = run(embedded, memory(embedded), board);
    pin.done();
    assert_eq!(outcome, Ok(Summary { runs: 0, words: 0, crc: 0 }));
}

#[test]
fn a_model_of_another_kind_is_refused_with_the_reason() {
    let embedded = embedded("lightcnn-mnist/model.teff");
    let mut pin = Pin::new(&[]);
    let board = Board { sound: Trickle(&[], 101), results: [0; 0].as_mut_slice(), heard: &mut pin };
    let error: String = match run(embedded, memory(embedded), board) {
        Err(error @ Error::Interface(_)) => std::format!("{error}"),
        other => panic!("{other:?}"),
    };
    pin.done();
    assert_eq!(error, "the model is not for this application: its input is not frames of 40 levels in int8");
}

/// What a PC asks before it builds the firmware.
#[test]
fn models_are_told_apart() {
    let checked = |model: &str| check(&Model::verify(embedded(model).model).expect("it is valid"));
    assert_eq!(checked("keyword/streaming.teff"), Ok(()));
    // The same network for whole windows.
    assert_eq!(checked("keyword/model.teff"), Err(Mismatch::NoState));
    assert_eq!(checked("storyteller/model.teff"), Err(Mismatch::Levels));
}
