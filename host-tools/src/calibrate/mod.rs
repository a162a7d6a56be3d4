//! Calibration: the range of every activation over a set of samples.

mod choice;
mod histogram;
mod logits;

pub use logits::raise_masks;

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use ndarray::ArrayD;
use rayon::prelude::*;

use crate::ir::eval::eval_observed;
use crate::ir::{Graph, ValueId};
pub(crate) use choice::{CANDIDATES, Fidelity, Reference};
use histogram::Histogram;

/// A set of inputs.
pub trait Samples: Sync {
    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The model inputs of one sample, in the layout of the graph (images NHWC).
    ///
    /// # Errors
    /// If it cannot be read; the message names it.
    fn inputs(&self, index: usize) -> Result<Vec<ArrayD<f32>>>;
}

impl Samples for Vec<Vec<ArrayD<f32>>> {
    fn len(&self) -> usize {
        self.as_slice().len()
    }

    fn inputs(&self, index: usize) -> Result<Vec<ArrayD<f32>>> {
        self.get(index).cloned().context("no such sample")
    }
}

/// How a range is chosen from the values seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// Smallest to largest value.
    MinMax,
    /// The range that holds this percentage of the values, the rest cut off evenly on both sides.
    Percentile(f64),
    /// The range with the smallest mean squared error of int8 quantization, rounding and saturation together.
    Mse,
    /// The one of several methods whose integer model agrees best with the float model on the calibration set: most
    /// often in the largest element of outputs that are vectors, and then in the squared error of all outputs.
    Auto,
}

impl FromStr for Method {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            None if text == "min-max" => Ok(Self::MinMax),
            None if text == "mse" => Ok(Self::Mse),
            None if text == "auto" => Ok(Self::Auto),
            None if text == "percentile" => Ok(Self::Percentile(99.99)),
            Some(("percentile", p)) => {
                let p: f64 = p.parse().with_context(|| format!("percentile:{p}: not a number"))?;
                ensure!(p > 50.0 && p <= 100.0, "percentile:{p}: must be above 50 and at most 100");
                Ok(Self::Percentile(p))
            }
            _ => bail!("unknown calibration method {text:?}: one of auto, min-max, percentile, percentile:P, mse"),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MinMax => write!(f, "min-max"),
            Self::Percentile(p) => write!(f, "percentile:{p}"),
            Self::Mse => write!(f, "mse"),
            Self::Auto => write!(f, "auto"),
        }
    }
}

/// The values that an activation takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Smallest.
    pub min: f32,
    /// Largest.
    pub max: f32,
}

impl Range {
    /// What an int16 activation holds beside the calibrated range: half as much again.
    pub const HEADROOM: f32 = 1.5;

    /// [`Range::HEADROOM`] times as far from 0 on both sides.
    #[must_use]
    pub fn with_headroom(self) -> Self {
        Self { min: Self::HEADROOM * self.min, max: Self::HEADROOM * self.max }
    }
}

/// The range of each value of `graph` over `samples`, by each of the `methods`; `None` for constants and for values that
/// no node computes.
///
/// `tick` is called after each sample and pass, as often as [`passes`] of the method that wants most says times
/// `samples.len()` in all. Graph inputs keep their
/// smallest and largest value whatever the method.
///
/// # Errors
/// If there is no sample, a sample does not fit the graph's inputs, or an activation is not finite.
pub fn calibrate(
    graph: &Graph,
    samples: &dyn Samples,
    methods: &[Method],
    tick: &(dyn Fn() + Sync),
) -> Result<Vec<Vec<Option<Range>>>> {
    ensure!(!samples.is_empty(), "the calibration set is empty");
    let count = graph.values.len();
    let merge = |mut a: Vec<Option<Range>>, b: Vec<Option<Range>>| {
        for (a, b) in a.iter_mut().zip(b) {
            *a = match (*a, b) {
                (Some(x), Some(y)) => Some(Range { min: x.min.min(y.min), max: x.max.max(y.max) }),
                (x, y) => x.or(y),
            };
        }
        a
    };
    let logits = logits::of(graph);
    let extremes = (0..samples.len())
        .into_par_iter()
        .map(|index| {
            let mut ranges = vec![None; count];
            let mut broken: Option<ValueId> = None;
            observe(graph, samples, index, |id, values| {
                let range = if logits.contains(&id) { logits::range(values) } else { extremes_of(values) };
                if !values.iter().all(|v| v.is_finite()) {
                    broken = broken.or(Some(id));
                }
                ranges[id.0] = Some(range);
            })?;
            if let Some(id) = broken {
                bail!("sample {index}: {} holds values that are not finite", graph.value(id).name);
            }
            tick();
            Ok(ranges)
        })
        .try_reduce(|| vec![None; count], |a, b| Ok(merge(a, b)))?;
    let extremes = logits::spread(graph, extremes);
    if methods.iter().all(|&method| passes(method) == 1) {
        return Ok(vec![extremes; methods.len()]);
    }

    let empty = || -> Vec<Option<Histogram>> { extremes.iter().map(|r| r.map(Histogram::new)).collect() };
    let histograms = (0..samples.len())
        .into_par_iter()
        .try_fold(empty, |mut histograms, index| {
            observe(graph, samples, index, |id, values| {
                if let Some(h) = &mut histograms[id.0] {
                    values.iter().for_each(|&v| h.add(v));
                }
            })?;
            tick();
            anyhow::Ok(histograms)
        })
        .try_reduce(empty, |mut a, b| {
            for (a, b) in a.iter_mut().zip(b) {
                if let (Some(a), Some(b)) = (a, b) {
                    a.merge(&b);
                }
            }
            Ok(a)
        })?;
    let by_method = methods.iter().map(|method| {
        let chosen = histograms.par_iter().map(|h| {
            h.as_ref().map(|h| match method {
                Method::MinMax => h.range(),
                Method::Percentile(p) => h.percentile(*p),
                Method::Mse | Method::Auto => h.least_squared_error(),
            })
        });
        let mut chosen: Vec<Option<Range>> = chosen.collect();
        for port in &graph.inputs {
            chosen[port.value.0] = extremes[port.value.0];
        }
        chosen
    });
    Ok(by_method.collect())
}

/// Smallest and largest element.
fn extremes_of(values: &ArrayD<f32>) -> Range {
    let seed = Range { min: f32::INFINITY, max: f32::NEG_INFINITY };
    values.iter().fold(seed, |r, &v| Range { min: r.min.min(v), max: r.max.max(v) })
}

/// How often [`calibrate`] runs each sample.
pub fn passes(method: Method) -> usize {
    if method == Method::MinMax { 1 } else { 2 }
}

fn observe(graph: &Graph, samples: &dyn Samples, index: usize, each: impl FnMut(ValueId, &ArrayD<f32>)) -> Result<()> {
    let inputs = samples.inputs(index).with_context(|| format!("calibration sample {index}"))?;
    eval_observed(graph, &inputs, each).with_context(|| format!("calibration sample {index}"))?;
    Ok(())
}
