//! The application with the storyteller that is shipped.

use std::string::String;
use std::vec;

use embedded_io::ErrorKind;
use teff::lm::{LanguageModel, Tokenizer, sample};
use teff::{Model, Session};

use super::{LINE, Settings, Summary, run};
use crate::Error;
use crate::testing::{embedded, memory};

fn told(settings: Settings, prompts: &str) -> (String, Summary) {
    let embedded = embedded("storyteller/model.teff");
    let mut text = vec![0; 1 << 14];
    let mut free = text.as_mut_slice();
    let summary = run(embedded, memory(embedded), settings, prompts.as_bytes(), &mut free).unwrap();
    let written = (1 << 14) - free.len();
    text.truncate(written);
    (String::from_utf8(text).unwrap(), summary)
}

#[test]
fn a_story_is_what_the_model_writes() {
    // Greedy, by hand.
    let embedded = embedded("storyteller/model.teff");
    let model = Model::verify(embedded.model).unwrap();
    let tokenizer = Tokenizer::of(&model).unwrap();
    let session = Session::new(&model, memory(embedded)).unwrap();
    let mut lm = LanguageModel::new(session).unwrap();
    let mut tokens = [0; 64];
    let count = tokenizer.encode("And the king said", &mut tokens).unwrap();
    lm.feed(&tokens[..count]).unwrap();
    let mut expected = String::from("And the king said").into_bytes();
    for _ in 0..20 {
        let token = sample::argmax(lm.logits().unwrap()).unwrap();
        if [tokenizer.bos(), tokenizer.eos()].contains(&Some(token)) {
            break;
        }
        expected.extend(tokenizer.token_bytes(token, false));
        lm.feed(&[token]).unwrap();
    }
    expected.push(b'\n');

    let greedy = Settings { sampling: teff::lm::Sampling::default(), tokens: 20, lines: 0, ..Settings::DEMO };
    let (text, summary) = told(greedy, "And the king said\n");
    assert_eq!(text.as_bytes(), expected);
    assert_eq!((summary.stories, summary.crc), (1, teff::crc32(text.as_bytes())));
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
        run(embedded, memory(embedded), Settings::DEMO, prompt, Full(1 << 14)).err()
    };
    assert_eq!(attempt("storyteller", &[b'a'; LINE + 1]), Some(Error::Prompt));
    assert_eq!(attempt("storyteller", b"\xff\n"), Some(Error::Prompt));
    assert!(matches!(attempt("lightcnn-mnist", b"a\n"), Some(Error::Tokenizer(_) | Error::Language(_))));
    let embedded = embedded("storyteller/model.teff");
    let failed = run(embedded, &mut [0; 16], Settings::DEMO, &b"a"[..], Full(0));
    assert!(matches!(failed, Err(Error::Session(_))), "{failed:?}");
}

/// A stream that breaks after some bytes.
struct Full(usize);

impl embedded_io::ErrorType for Full {
    type Error = ErrorKind;
}

impl embedded_io::Write for Full {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(ErrorKind::OutOfMemory)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

#[test]
fn a_broken_line_ends_the_story() {
    let embedded = embedded("storyteller/model.teff");
    let failed = run(embedded, memory(embedded), Settings::DEMO, &b"Now\n"[..], Full(12));
    assert_eq!(failed, Err(Error::Write(ErrorKind::OutOfMemory)));
}
