//! Normalisation by mean and variance, or by the mean of squares.

use anyhow::{Result, ensure};
use ndarray::{ArrayD, Zip};

use super::{
    HostOp,
    reduce_sum::sum,
    shape::{arity, reduced},
};
use crate::quantize::lower::{Lower, Lowering};

/// `y = (x − m)/√(v + ε)·scale + bias` with m the mean over the axes and v the variance; not centered, m = 0 and v is
/// the mean of squares. Where v + ε is 0, the device computes 0.
///
/// * `x`: any shape
/// * `scale`, `bias`: constants, optional, of the shape of the last axes of x
#[derive(Debug, Clone, PartialEq)]
pub struct Normalize {
    /// The axes over which mean and variance are taken, ascending.
    pub axes: Vec<usize>,
    /// ε, not negative.
    pub epsilon: f32,
    /// Whether the mean is subtracted.
    pub centered: bool,
}

impl HostOp for Normalize {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("Normalize", inputs.len(), 1..=3)?;
        let x = inputs[0];
        reduced("Normalize", x, &self.axes)?;
        ensure!(self.epsilon >= 0.0, "Normalize: epsilon {} is negative", self.epsilon);
        for c in &inputs[1..] {
            ensure!(c.len() <= x.len() && x.ends_with(c), "Normalize: {c:?} are not the last axes of {x:?}");
        }
        Ok(x.to_vec())
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        let count: usize = self.axes.iter().map(|&a| inputs[0].shape()[a]).product();
        let mean = |x: &ArrayD<f32>| sum(x, &self.axes).mapv(|s| s / count as f32);
        let mut y = inputs[0].clone();
        if self.centered {
            y -= &mean(&y);
        }
        let variance = mean(&y.mapv(|v| v * v));
        y *= &variance.mapv(|v| (f64::from(v) + f64::from(self.epsilon)).sqrt().recip() as f32);
        if let Some(scale) = inputs.get(1) {
            y *= *scale;
        }
        if let Some(bias) = inputs.get(2) {
            Zip::from(&mut y).and_broadcast(*bias).for_each(|y, b| *y += b);
        }
        Ok(y)
    }
}

impl Lower for Normalize {
    fn lower(&self, _cx: &mut Lowering<'_>) -> Result<()> {
        anyhow::bail!("only the float form exists yet")
    }
}
