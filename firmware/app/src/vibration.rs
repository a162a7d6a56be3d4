//! Watches a machine: from an accelerometer to an anomaly score, a light and an alarm.
//!
//! The samples become [`spectrum::BANDS`] energies for each [`spectrum::SAMPLES`] of them, in integers. The first
//! [`BASELINE`] of these spectra, of a machine that is well, are the baseline; from then on the model sees by how many
//! octaves each band is above it. Its one output is the score, and 1 its limit: `models/vibration` is such a model.
//! Neither the sensor's sensitivity nor how it is turned plays a part, and hardly its sampling rate.

pub mod sensor;
pub mod spectrum;

use core::fmt::{self, Debug, Display};

use embedded_hal::digital::OutputPin;
use embedded_hal::pwm::SetDutyCycle;
use embedded_io::Write;
use teff::format::Tensor;
use teff::{Model, Session};

use crate::digits::{Embedded, self_test};
use crate::error::{Error, Mismatch};
use crate::markers::{bench_begin, bench_end};
use sensor::Sensor;
use spectrum::{BANDS, BandEnergies, Bands};

/// Spectra that the baseline is the mean of.
pub const BASELINE: u32 = 16;

/// Scores of at least 1 in a row that raise the alarm.
pub const ALARM_AFTER: u32 = 2;

/// What the application sees of the board.
#[derive(Debug)]
pub struct Board<S, W, L, P> {
    /// Where samples come from.
    pub sensor: S,
    /// Where scores go: the bytes of the model's output, once for each spectrum after the baseline.
    pub results: W,
    /// Shows the score: dark at 0, full at 1 and above.
    pub level: L,
    /// High while the alarm is raised.
    pub alarm: P,
}

/// What was seen until the samples ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Scores that were given.
    pub scores: u32,
    /// Those among them with the alarm raised.
    pub alarms: u32,
}

/// The error of the light or of the alarm's pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndicatorError<L, P> {
    /// The light.
    Level(L),
    /// The alarm's pin.
    Alarm(P),
}

/// The error of [`run`] on a board with these parts.
pub type RunError<S, W, L, P> = Error<
    <S as Sensor>::Error,
    <W as embedded_io::ErrorType>::Error,
    IndicatorError<<L as embedded_hal::pwm::ErrorType>::Error, <P as embedded_hal::digital::ErrorType>::Error>,
>;

/// The mean of the first spectra, and then how far others are from it.
#[derive(Debug, Clone)]
pub struct Baseline {
    seen: u32,
    sums: [i64; BANDS],
}

impl Baseline {
    /// Nothing seen.
    pub const fn new() -> Self {
        Self { seen: 0, sums: [0; BANDS] }
    }

    /// Learns from the first [`BASELINE`] spectra, for which it gives nothing; of those that follow, gives the
    /// difference to their mean, which is rounded half up, in octaves, Q15.16.
    pub fn relative(&mut self, spectrum: &Bands) -> Option<Bands> {
        if self.seen < BASELINE {
            self.sums.iter_mut().zip(spectrum).for_each(|(sum, &x)| *sum += i64::from(x));
            self.seen += 1;
            return None;
        }
        let mut relative = *spectrum;
        for (x, &sum) in relative.iter_mut().zip(&self.sums) {
            // A mean of i32 is one.
            let mean = (sum + i64::from(BASELINE / 2)).div_euclid(BASELINE.into()) as i32;
            *x = x.saturating_sub(mean);
        }
        Some(relative)
    }
}

impl Default for Baseline {
    fn default() -> Self {
        Self::new()
    }
}

/// Verifies the model, runs its self-test, learns the baseline, and then scores each spectrum until the samples end,
/// which a sensor's never do.
///
/// # Errors
/// The first thing that went wrong. A model without a self-test is no error; one that [`check`] refuses is.
pub fn run<S: Sensor, W: Write, L: SetDutyCycle, P: OutputPin>(
    embedded: Embedded,
    memory: &mut [u8],
    energies: &mut BandEnergies,
    mut board: Board<S, W, L, P>,
) -> Result<Summary, RunError<S, W, L, P>> {
    let model = Model::verify_with(embedded.model, embedded.ops)?;
    info!("model {=u32:08x}: {=usize} bytes of memory", model.crc(), model.memory_len());
    let (input, output) = numbers(&model).map_err(Error::Interface)?;
    let mut session = Session::new(&model, memory)?;
    self_test(&mut session)?;
    board.alarm.set_low().map_err(|error| Error::Pin(IndicatorError::Alarm(error)))?;
    board.level.set_duty_cycle_fully_off().map_err(|error| Error::Pin(IndicatorError::Level(error)))?;
    let mut baseline = Baseline::new();
    let mut summary = Summary { scores: 0, alarms: 0 };
    let mut above = 0_u32;
    while let Some(sample) = board.sensor.sample().map_err(Error::Read)? {
        let Some(spectrum) = energies.push(sample) else { continue };
        let Some(relative) = baseline.relative(&spectrum) else {
            info!("learning");
            continue;
        };
        // Octaves of less than 256 have 24 bits: a float holds them exactly.
        input.write_reals(session.input(0)?, relative.iter().map(|&x| x as f32 / 65_536.0));
        bench_begin();
        let outcome = session.run();
        bench_end();
        outcome?;
        let bytes = session.output(0)?;
        board.results.write_all(bytes).map_err(Error::Write)?;
        let percent = output.read_reals(bytes).next().map_or(0, |score| (score * 100.0) as u32);
        above = if percent >= 100 { above.saturating_add(1) } else { 0 };
        let alarm = above >= ALARM_AFTER;
        info!("score {=u32} %, alarm {=bool}", percent, alarm);
        board
            .level
            .set_duty_cycle_percent(percent.min(100) as u8)
            .map_err(|error| Error::Pin(IndicatorError::Level(error)))?;
        board.alarm.set_state(alarm.into()).map_err(|error| Error::Pin(IndicatorError::Alarm(error)))?;
        summary.scores = summary.scores.saturating_add(1);
        summary.alarms = summary.alarms.saturating_add(alarm.into());
    }
    board.results.flush().map_err(Error::Write)?;
    info!("{=u32} scores, {=u32} alarms", summary.scores, summary.alarms);
    Ok(summary)
}

/// Whether the model's input is for a spectrum and its output for a score.
///
/// # Errors
/// What it lacks.
pub fn check(model: &Model<'_>) -> Result<(), Mismatch> {
    numbers(model).map(|_| ())
}

/// The model's input and output, which are for a spectrum and a score; if not, what is wrong.
fn numbers<'m>(model: &'m Model<'_>) -> Result<(Tensor<'m>, Tensor<'m>), Mismatch> {
    let entry = model.entry(0).ok_or(Mismatch::NoEntry)?;
    let input = entry.inputs().next().and_then(|port| port.tensor()).filter(|tensor| tensor.len == BANDS);
    let output = entry.outputs().next().and_then(|port| port.tensor()).filter(|tensor| tensor.len == 1);
    Ok((input.ok_or(Mismatch::Spectrum)?, output.ok_or(Mismatch::Score)?))
}

impl<L: Debug, P: Debug> Display for IndicatorError<L, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Level(error) => write!(f, "the light could not be set: {error:?}"),
            Self::Alarm(error) => write!(f, "the alarm's pin could not be set: {error:?}"),
        }
    }
}

#[cfg(test)]
mod tests;
