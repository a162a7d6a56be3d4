//! CPU time of an inference, operator by operator, beside tract with the float model.

use std::hint::black_box;
use std::path::Path;

use anyhow::{Context, Result};
use ndarray::{ArrayD, IxDyn};
use serde::Serialize;
use teff::{Model, Session};

use super::{median, seconds};
use crate::data::InputSpec;
use crate::lm::host;
use crate::report::float::FloatModel;
use crate::report::{ModelReport, StepReport};

/// Turns that the programs take.
const ROUNDS: usize = 41;
/// CPU seconds of a turn, at least.
const TURN: f64 = 0.004;

/// What a model costs here.
#[derive(Debug, Clone, Serialize)]
pub struct GraphReport {
    /// The instructions that Teff's kernels were chosen for.
    pub instructions: &'static str,
    /// Each step by itself, the time of reading the clock taken off.
    pub steps: Vec<StepTime>,
    /// Microseconds of CPU time of an inference of the first entry point.
    pub microseconds: f64,
    /// Multiply-accumulates of an inference.
    pub macs: u64,
    /// Microseconds that tract takes with the float model.
    pub tract_microseconds: Option<f64>,
    /// How many times as fast Teff is.
    pub tract_ratio: Option<f64>,
}

/// What a step costs.
#[derive(Debug, Clone, Serialize)]
pub struct StepTime {
    /// The step.
    #[serde(flatten)]
    pub step: StepReport,
    /// Microseconds of CPU time: the least of many runs.
    pub microseconds: f64,
}

/// Runs `model` on zeros, and in turn the float model `onnx`, if there is one.
///
/// # Errors
/// If a run fails, or tract does not load the float model.
pub fn measure(model: &Model<'_>, onnx: Option<&Path>) -> Result<GraphReport> {
    let mut memory = host::memory(model);
    let mut session = Session::new(model, &mut memory)?;
    let specs = InputSpec::of_entry(&model.entry(0).context("no entry point")?)?;
    let float = onnx.map(|path| FloatModel::load(path, &specs)).transpose()?;
    let inputs: Vec<ArrayD<f32>> = specs.iter().map(|spec| ArrayD::zeros(IxDyn(&spec.onnx_shape()))).collect();
    session.run()?;
    let mut failure = None;
    let mut teff = || {
        if let Err(error) = session.run() {
            failure = Some(error);
        }
    };
    let tract = || float.as_ref().map_or(Ok(()), |float| float.run(&inputs).map(|outputs| drop(black_box(outputs))));
    tract()?;
    let (own_count, other_count) = (count(&mut teff), count(|| drop(tract())));
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        own.push(seconds(|| (0..own_count).for_each(|_| teff())) / own_count as f64 * 1e6);
        if float.is_some() {
            others.push(seconds(|| (0..other_count).for_each(|_| drop(tract()))) / other_count as f64 * 1e6);
        }
    }
    if let Some(error) = failure {
        return Err(error.into());
    }
    let microseconds = median(own);
    let tract_microseconds = float.is_some().then(|| median(others));
    let report = ModelReport::new(model);
    Ok(GraphReport {
        instructions: teff::arch::instructions(),
        steps: steps(model, &mut session, &report)?,
        microseconds,
        macs: report.totals.macs,
        tract_microseconds,
        tract_ratio: tract_microseconds.map(|tract| tract / microseconds),
    })
}

/// How often `work` must run to fill a turn.
fn count(mut work: impl FnMut()) -> usize {
    let mut count = 1;
    while seconds(|| (0..count).for_each(|_| work())) < TURN {
        count *= 2;
    }
    count
}

fn steps(model: &Model<'_>, session: &mut Session<'_, '_>, report: &ModelReport) -> Result<Vec<StepTime>> {
    let nothing = (0..1_000).map(|_| seconds(|| ())).fold(f64::MAX, f64::min);
    let range = model.entry(0).map_or(0..0, |entry| entry.steps());
    let mut least = vec![f64::MAX; range.len()];
    for _ in 0..200 {
        for (index, least) in range.clone().zip(&mut least) {
            let mut result = Ok(());
            let time = seconds(|| result = session.run_step(index).map(|_| ()));
            result?;
            *least = least.min(time - nothing);
        }
    }
    let reports = report.steps.iter().skip(range.start).zip(least);
    Ok(reports.map(|(step, time)| StepTime { step: step.clone(), microseconds: time.max(0.0) * 1e6 }).collect())
}
