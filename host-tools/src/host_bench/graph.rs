//! CPU time of an inference, operator by operator, beside tract with the float model.

use std::hint::black_box;
use std::path::Path;

use anyhow::{Context, Result};
use ndarray::{ArrayD, IxDyn};
use serde::Serialize;
use teff::{Model, Session};

use super::{median, seconds, seconds_on_the_wall};
use crate::data::InputSpec;
use crate::lm::host;
use crate::report::float::FloatModel;
use crate::report::{ModelReport, StepReport};

/// Turns that the programs take.
const ROUNDS: usize = 41;
/// CPU seconds of a turn, at least.
const TURN: f64 = 0.004;

/// Seconds that work takes.
type Clock = fn(&mut dyn FnMut()) -> f64;

/// What a model costs here.
#[derive(Debug, Clone, Serialize)]
pub struct GraphReport {
    /// The instructions that Teff's kernels were chosen for.
    pub instructions: &'static str,
    /// Threads that large steps are split over.
    pub threads: usize,
    /// Each step by itself, the time of reading the clock taken off.
    pub steps: Vec<StepTime>,
    /// Microseconds of an inference of the first entry point: CPU time, or with several threads time on the wall.
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
    /// Microseconds, as those of an inference: the least of many runs.
    pub microseconds: f64,
}

/// Runs `model` on zeros and so many threads, and in turn the float model `onnx`, if there is one, on one.
///
/// # Errors
/// If a run fails, tract does not load the float model, or threads cannot be started.
pub fn measure(model: &Model<'_>, onnx: Option<&Path>, threads: usize) -> Result<GraphReport> {
    if threads <= 1 {
        return measure_by(|work| seconds(work), model, onnx, 1);
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    pool.install(|| teff::over_threads(|| measure_by(|work| seconds_on_the_wall(work), model, onnx, threads)))
}

fn measure_by(seconds: Clock, model: &Model<'_>, onnx: Option<&Path>, threads: usize) -> Result<GraphReport> {
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
    let (own_count, other_count) = (count(seconds, &mut teff), count(seconds, &mut || drop(tract())));
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        own.push(seconds(&mut || (0..own_count).for_each(|_| teff())) / own_count as f64 * 1e6);
        if float.is_some() {
            others.push(seconds(&mut || (0..other_count).for_each(|_| drop(tract()))) / other_count as f64 * 1e6);
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
        threads,
        steps: steps(seconds, model, &mut session, &report)?,
        microseconds,
        macs: report.totals.macs,
        tract_microseconds,
        tract_ratio: tract_microseconds.map(|tract| tract / microseconds),
    })
}

/// How often `work` must run to fill a turn.
fn count(seconds: Clock, work: &mut dyn FnMut()) -> usize {
    let mut count = 1;
    while seconds(&mut || (0..count).for_each(|_| work())) < TURN {
        count *= 2;
    }
    count
}

fn steps(
    seconds: Clock,
    model: &Model<'_>,
    session: &mut Session<'_, '_>,
    report: &ModelReport,
) -> Result<Vec<StepTime>> {
    let nothing = (0..1_000).map(|_| seconds(&mut || ())).fold(f64::MAX, f64::min);
    let range = model.entry(0).map_or(0..0, |entry| entry.steps());
    let mut least = vec![f64::MAX; range.len()];
    for _ in 0..200 {
        for (index, least) in range.clone().zip(&mut least) {
            let mut result = Ok(());
            let time = seconds(&mut || result = session.run_step(index).map(|_| ()));
            result?;
            *least = least.min(time - nothing);
        }
    }
    let reports = report.steps.iter().skip(range.start).zip(least);
    Ok(reports.map(|(step, time)| StepTime { step: step.clone(), microseconds: time.max(0.0) * 1e6 }).collect())
}
