//! The application against parts in memory, with the model and the sound that are shipped.

use std::string::String;
use std::vec;
use std::vec::Vec;

use embedded_hal_mock::eh1::digital::{Mock as Pin, State, Transaction};
use teff::{Model, crc32};

use super::features::{HOP, RATE};
use super::{Board, NOTHING, RESULT, Summary, run};
use crate::Error;
use crate::digits::Embedded;
use crate::testing::{Trickle, embedded, memory, shipped};

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
