//! Writes stories: each line of a stream is the beginning of a text, and the language model's text goes out token by token as
//! it comes.
//!
//! What goes out for a line is the line itself, what the model writes after it, and a line's end. An empty line lets the
//! model begin by itself. Each line starts anew, with the next seed; so a device that is switched on again, or a PC with
//! `teff generate --seed`, tells the same stories.

mod prompts;

pub use prompts::Prompts;

use core::convert::Infallible;
use core::ops::ControlFlow;

use embedded_io::{Read, Write};
use heapless::Vec;
use teff::lm::sample::ONE;
use teff::lm::tokenizer::Piece;
use teff::lm::{Budget, Generator, LanguageModel, LmError, Options, Sampling, Tokenizer, TokenizerError};
use teff::{Crc32, Model, Session};

use crate::digits::Embedded;
use crate::error::{Error, Mismatch};
use crate::markers::{bench_begin, bench_end};

/// Longest line in bytes.
pub const LINE: usize = 256;
/// Room for its tokens: one for each byte and two more always suffice.
const TOKENS: usize = LINE + 2;

/// How stories are told.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Seed of the first line's story; the next line has the next.
    pub seed: u64,
    /// Most tokens of a story.
    pub tokens: usize,
    /// Lines after which a story ends; 0: only where the model, or the number of tokens, ends it.
    pub lines: u32,
}

impl Settings {
    /// Three lines, neither dull nor wild: as `teff generate --temperature 0.7 --top-p 0.9 --seed 1 --lines 3` writes them.
    pub const DEMO: Self = Self {
        sampling: Sampling { temperature: 45_875, top_k: 0, top_p: 58_982, repetition_penalty: ONE },
        seed: 1,
        tokens: 256,
        lines: 3,
    };
}

/// What was done when the stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Stories told.
    pub stories: u32,
    /// Tokens written.
    pub tokens: u32,
    /// CRC-32 of all that went out.
    pub crc: u32,
}

/// The error of [`run`] between these streams.
pub type StoryError<R, W> =
    Error<<R as embedded_io::ErrorType>::Error, <W as embedded_io::ErrorType>::Error, Infallible>;

/// Tells a story for each line until the stream ends. Counts the instructions of a story.
///
/// # Errors
/// The first thing that went wrong: with the model, which [`check`] must take; with a stream; or a line
/// longer than [`LINE`] bytes, or no UTF-8.
pub fn run<R: Read, W: Write>(
    embedded: Embedded,
    memory: &mut [u8],
    settings: Settings,
    mut prompts: R,
    text: W,
) -> Result<Summary, StoryError<R, W>> {
    let model = Model::verify_with(embedded.model, embedded.ops)?;
    info!(
        "model {=u32:08x}: {=usize} bytes, {=usize} bytes of memory",
        model.crc(),
        model.file_len(),
        model.memory_len()
    );
    let tokenizer = check(&model).map_err(Error::Interface)?;
    let mut lm = LanguageModel::new(Session::new(&model, memory)?)?;
    let mut out = Out { text, crc: Crc32::new(), tokens: 0 };
    let mut stories = 0_u32;
    let mut line = Vec::new();
    while read_line(&mut prompts, &mut line)? {
        let prompt = core::str::from_utf8(&line).map_err(|_| Error::Prompt)?;
        bench_begin();
        let told = tell(&mut lm, &tokenizer, &settings, stories, prompt, &mut out);
        bench_end();
        told?;
        stories = stories.saturating_add(1);
    }
    out.text.flush().map_err(Error::Write)?;
    let summary = Summary { stories, tokens: out.tokens, crc: out.crc.finish() };
    info!("{=u32} stories, {=u32} tokens, CRC-32 {=u32:08x}", stories, summary.tokens, summary.crc);
    Ok(summary)
}

/// Whether the model is a language model with a tokenizer, which it gives.
///
/// # Errors
/// What it lacks.
pub fn check<'m>(model: &Model<'m>) -> Result<Tokenizer<'m>, Mismatch> {
    LanguageModel::check(model).map_err(Mismatch::Language)?;
    Tokenizer::of(model).map_err(Mismatch::Tokenizer)
}

/// Where the text goes.
struct Out<W> {
    text: W,
    crc: Crc32,
    tokens: u32,
}

impl<W: Write> Out<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), W::Error> {
        self.crc.update(bytes);
        self.text.write_all(bytes)
    }
}

/// One story.
fn tell<R, W: Write>(
    lm: &mut LanguageModel<'_, '_>,
    tokenizer: &Tokenizer<'_>,
    settings: &Settings,
    story: u32,
    prompt: &str,
    out: &mut Out<W>,
) -> Result<(), Error<R, W::Error, Infallible>> {
    let mut tokens = [0; TOKENS];
    let count = tokenizer.encode(prompt, &mut tokens)?;
    let Some(fed) = tokens.get(..count).filter(|fed| !fed.is_empty()) else {
        return Err(Error::Prompt);
    };
    let seed = settings.seed.wrapping_add(story.into());
    let stops: Vec<u16, 2> = [tokenizer.bos(), tokenizer.eos()].into_iter().flatten().collect();
    let options = Options {
        sampling: settings.sampling,
        seed,
        stop_tokens: &stops,
        stop_strings: &[],
        budget: Budget::tokens(settings.tokens),
    };
    lm.reset();
    let mut generator = Generator::new(lm, None, seed);
    generator.feed(fed)?;
    out.write(prompt.as_bytes()).map_err(Error::Write)?;
    // The first piece of a text has no space before it.
    let mut first = prompt.is_empty();
    let mut lines = 0_u32;
    let mut outcome = Ok(());
    generator.generate(&options, |token| {
        out.tokens = out.tokens.saturating_add(1);
        for byte in tokenizer.token_bytes(token, first) {
            lines = lines.saturating_add((byte == b'\n').into());
            // The last line is ended below.
            let ended = settings.lines > 0 && lines >= settings.lines;
            if !ended && outcome.is_ok() {
                outcome = out.write(&[byte]);
            }
        }
        // Someone reads along.
        if outcome.is_ok() {
            outcome = out.text.flush();
        }
        first &= tokenizer.piece(token) == Piece::Special;
        let done = outcome.is_err() || (settings.lines > 0 && lines >= settings.lines);
        if done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    outcome.and_then(|()| out.write(b"\n")).and_then(|()| out.text.flush()).map_err(Error::Write)
}

/// Reads up to a line's end, LF or CR LF, which is dropped; false if the stream has ended before anything.
fn read_line<R: Read, W>(prompts: &mut R, line: &mut Vec<u8, LINE>) -> Result<bool, Error<R::Error, W, Infallible>> {
    line.clear();
    let mut byte = [0];
    let mut any = false;
    loop {
        if prompts.read(&mut byte).map_err(Error::Read)? == 0 {
            return Ok(any);
        }
        match byte {
            [b'\r'] => {}
            [b'\n'] => return Ok(true),
            [other] => line.push(other).map_err(|_| Error::Prompt)?,
        }
        any = true;
    }
}

impl<R, W, P> From<LmError> for Error<R, W, P> {
    fn from(error: LmError) -> Self {
        Self::Language(error)
    }
}

impl<R, W, P> From<TokenizerError> for Error<R, W, P> {
    fn from(error: TokenizerError) -> Self {
        Self::Tokenizer(error)
    }
}

#[cfg(test)]
mod tests;
