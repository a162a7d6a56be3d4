//! Listens: from sound to the words that a streaming model knows, a light and a log.
//!
//! Sound is samples at 16 kHz, i16 little-endian. The fixed-point front end ([`features`]) gives the levels of 40 bands
//! every 20 ms; whenever there are as many frames as the model's input holds, it runs, on nothing but these: what it wants
//! of earlier ones it has in its state. Its probabilities are smoothed and become words ([`detector`]).
//!
//! The model's input is one or more frames of levels as pixels (in int8 `level − 128`), its output the probabilities of
//! silence, other speech, and then the words: `models/keyword/streaming.teff` is such a model.

pub mod detector;
pub mod features;

use embedded_hal::digital::OutputPin;
use embedded_io::{ErrorType, Read, Write};
use teff::format::DataType;
use teff::{Crc32, Model, Session};

use crate::digits::{Embedded, self_test};
use crate::error::{Error, Mismatch};
use crate::markers::{bench_begin, bench_end};
use crate::stream::fill;
use detector::{CLASSES, Detector, NO_WORDS, Verdict};
use features::{BANDS, FrontEnd, HOP, RATE};

/// What the application sees of the board.
#[derive(Debug)]
pub struct Board<R, W, P> {
    /// Where samples come from.
    pub sound: R,
    /// Where results go: for each run of the model, [`RESULT`] bytes.
    pub results: W,
    /// High while a word is heard.
    pub heard: P,
}

/// Bytes of a result: the class of the word that is heard, or [`NOTHING`]; the best class of all; its score in 256ths.
pub const RESULT: usize = 3;

/// No word is heard.
pub const NOTHING: u8 = 0xff;

/// What was done when the stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Runs of the model.
    pub runs: u32,
    /// Words that were heard.
    pub words: u32,
    /// CRC-32 of all results.
    pub crc: u32,
}

/// The error of [`run`] on a board with these parts.
pub type RunResult<R, W, P> = Result<
    Summary,
    Error<<R as ErrorType>::Error, <W as ErrorType>::Error, <P as embedded_hal::digital::ErrorType>::Error>,
>;

/// Verifies the model, runs its self-test, and then listens until the stream ends.
///
/// In the first second nothing is heard: the model's state is not filled yet.
///
/// # Errors
/// The first thing that went wrong. A model without a self-test is no error; one that [`check`] refuses is.
pub fn run<R: Read, W: Write, P: OutputPin>(
    embedded: Embedded,
    memory: &mut [u8],
    mut board: Board<R, W, P>,
) -> RunResult<R, W, P> {
    let model = Model::verify_with(embedded.model, embedded.ops)?;
    check(&model).map_err(Error::Interface)?;
    info!("model {=u32:08x}: {=usize} bytes of memory", model.crc(), model.memory_len());
    let mut session = Session::new(&model, memory)?;
    self_test(&mut session)?;
    board.heard.set_low().map_err(Error::Pin)?;

    let frames = session.input(0)?.len() / BANDS;
    // Runs in a second: `check` has seen that there are frames.
    let mut unfilled = (RATE as usize / HOP).checked_div(frames).unwrap_or_default();
    let (mut front_end, mut detector) = (FrontEnd::new(), Detector::new());
    let mut summary = Summary { runs: 0, words: 0, crc: 0 };
    let mut crc = Crc32::new();
    let (mut samples, mut filled, mut lit) = ([0; HOP], 0, false);
    loop {
        let count = read_hop(&mut board.sound, &mut samples)?;
        // A hop or less completes one frame at most.
        let mut frame = None;
        bench_begin();
        front_end.feed(samples.get(..count).unwrap_or(&samples), |levels| frame = Some(*levels));
        bench_end();
        if let Some(levels) = frame {
            let slots = session.input(0)?.chunks_exact_mut(BANDS).nth(filled).into_iter().flatten();
            slots.zip(levels).for_each(|(slot, level)| *slot = level ^ 0x80);
            filled += 1;
        }
        if filled >= frames {
            filled = 0;
            bench_begin();
            let outcome = session.run();
            bench_end();
            outcome?;
            let verdict = match unfilled {
                0 => detector.take(session.output_i8(0)?),
                _ => Verdict { word: None, begins: false, best: 0, score: 0 },
            };
            unfilled = unfilled.saturating_sub(1);
            if lit != verdict.word.is_some() {
                lit = !lit;
                board.heard.set_state(lit.into()).map_err(Error::Pin)?;
            }
            if let Some(word) = verdict.word.filter(|_| verdict.begins) {
                let label = model.labels().nth(word.into()).unwrap_or("?");
                info!("heard {=str}, score {=u8} of 256", label, verdict.score);
            }
            let result = [verdict.word.unwrap_or(NOTHING), verdict.best, verdict.score];
            crc.update(&result);
            board.results.write_all(&result).map_err(Error::Write)?;
            summary.runs = summary.runs.saturating_add(1);
            summary.words = summary.words.saturating_add(verdict.begins.into());
        }
        if count < HOP {
            break;
        }
    }
    board.results.flush().map_err(Error::Write)?;
    summary.crc = crc.finish();
    info!("{=u32} words in {=u32} runs, CRC-32 of results {=u32:08x}", summary.words, summary.runs, summary.crc);
    Ok(summary)
}

/// Whether the model is of the form above.
///
/// # Errors
/// What it lacks.
pub fn check(model: &Model<'_>) -> Result<(), Mismatch> {
    let entry = model.entry(0).ok_or(Mismatch::NoEntry)?;
    let input = entry.inputs().next().and_then(|port| port.tensor()).ok_or(Mismatch::NoInput)?;
    let output = entry.outputs().next().and_then(|port| port.tensor()).ok_or(Mismatch::NoOutput)?;
    if input.data_type != DataType::I8 || input.byte_len() == 0 || !input.byte_len().is_multiple_of(BANDS) {
        return Err(Mismatch::Levels);
    }
    if [0.0, 1.0].map(|real| input.quantize_i8(real)) != [i8::MIN, i8::MAX] {
        return Err(Mismatch::Pixels);
    }
    if output.data_type != DataType::I8 || !(NO_WORDS + 1..=CLASSES).contains(&output.byte_len()) {
        return Err(Mismatch::Classes);
    }
    if [0.0, 0.5].map(|real| output.quantize_i8(real)) != [i8::MIN, 0] {
        return Err(Mismatch::Probabilities);
    }
    if model.state_len() == 0 {
        return Err(Mismatch::NoState);
    }
    Ok(())
}

/// Reads samples; gives how many there were, which is fewer than there is room for only at the end of the stream.
fn read_hop<R: Read, W, P>(sound: &mut R, samples: &mut [i16; HOP]) -> Result<usize, Error<R::Error, W, P>> {
    let mut bytes = [0; 2 * HOP];
    let filled = fill(sound, &mut bytes).map_err(Error::Read)?;
    let (pairs, odd) = bytes.get(..filled).unwrap_or(&bytes).as_chunks();
    if !odd.is_empty() {
        return Err(Error::PartialFrame { needed: 2, found: 1 });
    }
    samples.iter_mut().zip(pairs).for_each(|(sample, &pair)| *sample = i16::from_le_bytes(pair));
    Ok(pairs.len())
}

#[cfg(test)]
mod tests;
