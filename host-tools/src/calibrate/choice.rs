//! The method of calibration that serves a model best, by trial.

use anyhow::{Context, Result};
use ndarray::ArrayD;
use rayon::prelude::*;
use teff::Model;

use super::{Method, Samples};
use crate::interpreter::Interpreter;
use crate::ir::{Graph, eval::eval};
use crate::report::is_vector;

/// What [`Method::Auto`] tries, in this order; of equals the first is taken.
pub(crate) const CANDIDATES: [Method; 5] =
    [Method::MinMax, Method::Percentile(99.99), Method::Percentile(99.9), Method::Percentile(99.5), Method::Mse];

/// Most samples that are compared; of a larger set, some at even distances.
const COMPARED: usize = 64;

/// How well an integer model does what the float model does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fidelity {
    /// Outputs whose largest element is the same one; of outputs that are vectors.
    agreements: usize,
    /// Sum of the squared differences of all outputs.
    squared_error: f64,
}

impl Fidelity {
    /// More agreements; of as many, the smaller error.
    pub(crate) fn better_than(&self, other: &Self) -> bool {
        (self.agreements, -self.squared_error) > (other.agreements, -other.squared_error)
    }
}

/// All inputs or outputs of a run.
type Tensors = Vec<ArrayD<f32>>;

/// The float model's answers to samples of the calibration set.
pub(crate) struct Reference {
    runs: Vec<(Tensors, Tensors)>,
}

impl Reference {
    /// Runs the float model.
    ///
    /// # Errors
    /// If a sample does not fit.
    pub(crate) fn new(graph: &Graph, samples: &dyn Samples) -> Result<Self> {
        let step = samples.len().div_ceil(COMPARED).max(1);
        let indices: Vec<usize> = (0..samples.len()).step_by(step).collect();
        let run = |index: usize| {
            let inputs = samples.inputs(index)?;
            let outputs = eval(graph, &inputs)?;
            Ok((inputs, outputs))
        };
        Ok(Self { runs: indices.into_par_iter().map(run).collect::<Result<_>>()? })
    }

    /// Holds the integer model `file` against the answers.
    ///
    /// # Errors
    /// If the model does not run on the samples.
    pub(crate) fn fidelity(&self, file: &[u8]) -> Result<Fidelity> {
        let model = Model::verify(file)?;
        let compare = |(inputs, expected): &(Tensors, Tensors)| {
            let found = Interpreter::new(&model).run(inputs)?;
            let mut fidelity = Fidelity { agreements: 0, squared_error: 0.0 };
            for (found, expected) in found.iter().zip(expected) {
                let reals = &found.device;
                let square = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
                fidelity.squared_error += reals.iter().zip(expected).map(square).sum::<f64>();
                let same = largest(reals.iter()) == largest(expected.iter());
                fidelity.agreements += usize::from(is_vector(expected.shape()) && same);
            }
            Ok(fidelity)
        };
        let add = |a: Fidelity, b: Fidelity| Fidelity {
            agreements: a.agreements + b.agreements,
            squared_error: a.squared_error + b.squared_error,
        };
        let all = self.runs.par_iter().map(compare).collect::<Result<Vec<_>>>()?;
        all.into_iter().reduce(add).context("the calibration set is empty")
    }
}

/// Index of the largest element, the first of equals.
fn largest<'a>(values: impl Iterator<Item = &'a f32>) -> usize {
    values.enumerate().fold((0, f32::NEG_INFINITY), |best, (i, &v)| if v > best.1 { (i, v) } else { best }).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_comes_before_error() {
        let fidelity = |agreements, squared_error| Fidelity { agreements, squared_error };
        assert!(fidelity(3, 2.0).better_than(&fidelity(2, 1.0)));
        assert!(fidelity(3, 1.0).better_than(&fidelity(3, 2.0)));
        assert!(!fidelity(3, 1.0).better_than(&fidelity(3, 1.0)));
    }
}
