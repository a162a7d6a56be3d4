//! The application with the storyteller that is shipped.

use std::string::String;
use std::vec;
use std::vec::Vec;

use embedded_hal_mock::eh1::serial::Transaction;
use embedded_hal_nb::nb::Error::{Other, WouldBlock};
use embedded_hal_nb::serial;
use teff::lm::{LanguageModel, LmError, Sampling, Tokenizer, sample};
use teff::{Model, Session};

use super::{LINE, Settings, Summary, check, run};
use crate::serial::LineError;
use crate::testing::{embedded, line, memory};
use crate::{Error, Mismatch};

/// No chance in it.
fn greedy() -> Settings {
    Settings { sampling: Sampling::default(), tokens: 20, lines: 0, ..Settings::DEMO }
}

fn told(settings: Settings, prompts: &str) -> (String, Summary) {
    let embedded = embedded("storyteller/model.teff");
    let mut text = vec![0; 1 << 14];
    let mut free = text.as_mut_slice();
    let summary = run(embedded, memory(embedded), settings, prompts.as_bytes(), &mut free).unwrap();
    let written = (1 << 14) - free.len();
    text.truncate(written);
    (String::from_utf8(text).unwrap(), summary)
}

/// The pieces that the model writes after `prompt`, by hand.
fn pieces(prompt: &str) -> Vec<Vec<u8>> {
    let embedded = embedded("storyteller/model.teff");
    let model = Model::verify(embedded.model).unwrap();
    let tokenizer = Tokenizer::of(&model).unwrap();
    let session = Session::new(&model, memory(embedded)).unwrap();
    let mut lm = LanguageModel::new(session).unwrap();
    let mut tokens = [0; 64];
    let count = tokenizer.encode(prompt, &mut tokens).unwrap();
    lm.feed(&tokens[..count]).unwrap();
    let mut pieces = Vec::new();
    for _ in 0..greedy().tokens {
        let token = sample::argmax(lm.logits().unwrap()).unwrap();
        if [tokenizer.bos(), tokenizer.eos()].contains(&Some(token)) {
            break;
        }
        pieces.push(tokenizer.token_bytes(token, false).collect());
        lm.feed(&[token]).unwrap();
    }
    pieces
}

#[test]
fn a_story_is_what_the_model_writes() {
    let expected = [b"And the king said".to_vec(), pieces("And the king said").concat(), b"\n".to_vec()].concat();
    let (text, summary) = told(greedy(), "And the king said\n");
    assert_eq!(text.as_bytes(), expected);
    assert_eq!((summary.stories, summary.crc), (1, teff::crc32(text.as_bytes())));
}

/// What someone sees who types a line, and then breaks it off.
#[test]
fn each_token_is_on_the_serial_line_before_the_next_is_thought_of() {
    let pieces = pieces("Now");
    assert!(pieces.len() > 10, "{pieces:?}");
    let mut calls = vec![
        Transaction::read(b'N'),
        Transaction::read_error(WouldBlock),
        Transaction::read_many(b"ow\r\n"),
        Transaction::write_many(b"Now"),
    ];
    calls.extend(pieces.iter().flat_map(|piece| [Transaction::write_many(piece), Transaction::flush()]));
    calls.extend([Transaction::write(b'\n'), Transaction::flush()]);
    calls.extend([Transaction::read(b'A'), Transaction::read_error(Other(serial::ErrorKind::Overrun))]);
    let (mut line, prompts, text) = line(&calls);
    let embedded = embedded("storyteller/model.teff");
    let outcome = run(embedded, memory(embedded), greedy(), prompts, text);
    line.done();
    assert_eq!(outcome, Err(Error::Read(LineError(serial::ErrorKind::Overrun))));
}

#[test]
fn each_line_has_the_next_seed_and_three_lines() {
    let (both, summary) = told(Settings::DEMO, "And the king said\r\nNow");
    assert_eq!(summary.stories, 2);
    let (first, _) = told(Settings::DEMO, "And the king said\n");
    let (second, _) = told(Settings { seed: Settings::DEMO.seed + 1, ..Settings::DEMO }, "Now\n");
    assert_eq!(both, [first.clone(), second].concat());
    assert!(first.starts_with("And the king said") && (1..=3).contains(&first.lines().count()), "{first:?}");
}

#[test]
fn a_model_can_begin_by_itself() {
    let (text, summary) = told(Settings::DEMO, "\n");
    assert_eq!(summary.stories, 1);
    assert!(text.trim().len() > 10 && !text.starts_with(' '), "{text:?}");
}

#[test]
fn what_cannot_be_told_is_an_error() {
    let attempt = |model: &str, prompt: &[u8]| {
        let embedded = embedded(&std::format!("{model}/model.teff"));
        run(embedded, memory(embedded), Settings::DEMO, prompt, &mut [0; 1 << 14][..]).err()
    };
    assert_eq!(attempt("storyteller", &[b'a'; LINE + 1]), Some(Error::Prompt));
    assert_eq!(attempt("storyteller", b"\xff\n"), Some(Error::Prompt));
    let mismatch = Mismatch::Language(LmError::NotALanguageModel);
    assert_eq!(attempt("lightcnn-mnist", b"a\n"), Some(Error::Interface(mismatch)));
    let embedded = embedded("storyteller/model.teff");
    let failed = run(embedded, &mut [0; 16], Settings::DEMO, &b"a"[..], &mut [0; 1][..]);
    assert!(matches!(failed, Err(Error::Session(_))), "{failed:?}");
}

/// What a PC asks before it builds the firmware.
#[test]
fn language_models_are_told_from_others() {
    let checked = |model: &str| check(&Model::verify(embedded(model).model).unwrap()).map(|_| ());
    assert_eq!(checked("storyteller/model.teff"), Ok(()));
    let refused = checked("keyword/streaming.teff").unwrap_err();
    assert_eq!(std::format!("{refused}"), "the model is no language model: it has no entry point `decode`");
}

#[test]
fn a_broken_line_ends_the_story() {
    let (pieces, embedded) = (pieces("Now"), embedded("storyteller/model.teff"));
    let broken = Other(serial::ErrorKind::Other);
    for last in [
        vec![Transaction::write_error(pieces[0][0], broken)],
        vec![Transaction::write_many(&pieces[0]), Transaction::flush_error(broken)],
    ] {
        let mut calls = vec![Transaction::read_many(b"Now\n"), Transaction::write_many(b"Now")];
        calls.extend(last);
        let (mut line, prompts, text) = line(&calls);
        let outcome = run(embedded, memory(embedded), greedy(), prompts, text);
        line.done();
        assert_eq!(outcome, Err(Error::Write(LineError(serial::ErrorKind::Other))));
    }
}
