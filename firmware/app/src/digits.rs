//! Classifies frames: each frame of a stream goes through the model, and its output bytes go out.
//!
//! A frame is the bytes of the model's first input, already quantized; an output is the bytes of its first output.
//! Nothing stands between frames or between outputs. Named after the first model that ran in it, which reads
//! handwritten digits.

use embedded_hal::digital::OutputPin;
use embedded_io::{ErrorType, Read, Write};
use teff::ops::OpDef;
use teff::{Crc32, Model, SelfTestError, Session};

use crate::error::{Error, Mismatch};
use crate::markers::{bench_begin, bench_end};
use crate::stream::fill;

/// A model as `teff-build` embeds it.
#[derive(Debug, Clone, Copy)]
pub struct Embedded {
    /// The bytes of the file, aligned to 16.
    pub model: &'static [u8],
    /// The operators that it uses: no others are linked.
    pub ops: &'static [&'static OpDef],
}

/// What the application sees of the board.
#[derive(Debug)]
pub struct Board<R, W, P> {
    /// Where frames come from.
    pub frames: R,
    /// Where outputs go.
    pub results: W,
    /// High while the model runs.
    pub busy: P,
}

/// What was done when the stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Frames that were run.
    pub frames: u32,
    /// CRC-32 of all output bytes.
    pub crc: u32,
}

/// The error of [`run`] on a board with these parts.
pub type RunResult<R, W, P> = Result<
    Summary,
    Error<<R as ErrorType>::Error, <W as ErrorType>::Error, <P as embedded_hal::digital::ErrorType>::Error>,
>;

/// Verifies the model, runs its self-test, and then runs it on each frame until the stream ends.
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
    info!(
        "model {=u32:08x}: {=usize} bytes, {=usize} steps, {=usize} bytes of memory",
        model.crc(),
        model.file_len(),
        model.step_count(),
        model.memory_len()
    );
    for op in embedded.ops {
        info!("operator {=str}", op.name);
    }
    let mut session = Session::new(&model, memory)?;
    self_test(&mut session)?;
    let mut frames = 0_u32;
    let mut crc = Crc32::new();
    while read_frame(&mut board.frames, session.input(0)?)? {
        board.busy.set_high().map_err(Error::Pin)?;
        bench_begin();
        let outcome = session.run();
        bench_end();
        board.busy.set_low().map_err(Error::Pin)?;
        outcome?;
        let output = session.output(0)?;
        crc.update(output);
        board.results.write_all(output).map_err(Error::Write)?;
        frames = frames.saturating_add(1);
    }
    board.results.flush().map_err(Error::Write)?;
    let summary = Summary { frames, crc: crc.finish() };
    info!("{=u32} frames, output CRC-32 {=u32:08x}", summary.frames, summary.crc);
    Ok(summary)
}

/// Whether a frame is all that the model wants.
///
/// # Errors
/// What it lacks.
pub fn check(model: &Model<'_>) -> Result<(), Mismatch> {
    let entry = model.entry(0).ok_or(Mismatch::NoEntry)?;
    let mut inputs = entry.inputs();
    inputs.next().ok_or(Mismatch::NoInput)?;
    entry.outputs().next().ok_or(Mismatch::NoOutput)?;
    inputs.next().map_or(Ok(()), |_| Err(Mismatch::SeveralInputs))
}

/// Runs the model's self-test; that it has none is no error.
pub(crate) fn self_test<R, W, P>(session: &mut Session<'_, '_>) -> Result<(), Error<R, W, P>> {
    match session.self_test() {
        Ok(()) => info!("self-test: every step as on the PC"),
        Err(SelfTestError::Absent) => info!("self-test: the model has none"),
        Err(error) => return Err(Error::SelfTest(error)),
    }
    Ok(())
}

/// Fills `frame`; false if the stream has ended before it.
pub(crate) fn read_frame<R: Read, W, P>(frames: &mut R, frame: &mut [u8]) -> Result<bool, Error<R::Error, W, P>> {
    let needed = frame.len();
    match fill(frames, frame).map_err(Error::Read)? {
        found if found == needed => Ok(true),
        0 => Ok(false),
        found => Err(Error::PartialFrame { needed, found }),
    }
}

#[cfg(test)]
mod tests;
