//! Normalisation by mean and variance, or by the mean of squares.

use anyhow::{Result, ensure};
use ndarray::{ArrayD, Zip};
use teff::fixed::MAX_SHIFT;
use teff::format::DataType;
use teff::kernels::norm::{BIAS_BITS, NORMAL_BITS};
use teff::ops::{NORMALIZE, normalize};

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
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let shape = cx.shape(0)?;
        let count: usize = self.axes.iter().map(|&a| shape[a]).product();
        let (x_scale, y_scale) = (f64::from(cx.quant(0)?.scale), f64::from(cx.out_quant()?.scale));
        let epsilon = (f64::from(self.epsilon) * (count as f64 / x_scale).powi(2)).round();
        ensure!(epsilon < 2f64.powi(63), "epsilon {} is far larger than the values' squares", self.epsilon);
        let epsilon = epsilon as u64;
        let factors = |slot: usize, default: f32| -> Result<Vec<f64>> {
            let data = if slot < cx.operand_count() { Some(cx.data(slot)?) } else { None };
            let reals = data.map_or(vec![default], |d| d.iter().copied().collect());
            Ok(reals.iter().map(|&v| f64::from(v) / y_scale).collect())
        };
        let scale = factors(1, 1.0)?;
        let mut bias = factors(2, 0.0)?;
        bias.resize(scale.len(), 0.0);
        let largest = |values: &[f64]| values.iter().fold(f64::MIN_POSITIVE, |m, v| m.max(v.abs()));
        // As many bits as factors of 2^30, and terms of 2^61, leave.
        let bits = (30.0 - largest(&scale).log2()).floor() + f64::from(NORMAL_BITS);
        let bits = bits.min((60.0 - largest(&bias).log2()).floor()).min(f64::from(MAX_SHIFT));
        ensure!(bits >= f64::from(BIAS_BITS), "factors are out of range: calibrate with other samples");
        let shift = bits as u8;
        let fixed = |values: &[f64], bits: i32| -> Vec<i32> {
            let rounded = values.iter().map(|v| (v * 2f64.powi(bits)).round());
            rounded.map(|v| v.clamp(f64::from(i32::MIN), f64::from(i32::MAX)) as i32).collect()
        };
        let scale = fixed(&scale, i32::from(shift) - NORMAL_BITS as i32);
        let bias = fixed(&bias, BIAS_BITS.into());
        let operands = [
            cx.x(0)?,
            cx.constant("scale", DataType::I32, &[scale.len()], &scale),
            cx.constant("bias", DataType::I32, &[bias.len()], &bias),
        ];
        let params = normalize::Params {
            epsilon: [epsilon as u32, (epsilon >> 32) as u32],
            limits: cx.limits(None)?,
            axes: self.axes.iter().fold(0, |mask, axis| mask | 1 << axis),
            centered: self.centered.into(),
            shift,
            reserved: 0,
        };
        cx.step(&NORMALIZE, &operands, &params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn mean_and_deviation_are_taken_out() {
        let x = array![[1.0, 3.0], [-5.0, 5.0]].into_dyn();
        let op = Normalize { axes: vec![1], epsilon: 0.0, centered: true };
        let (scale, bias) = (array![2.0, 1.0].into_dyn(), array![0.0, 1.0].into_dyn());
        assert_eq!(op.eval(&[&x, &scale, &bias]).unwrap(), array![[-2.0, 2.0], [-2.0, 2.0]].into_dyn());
        let rms = Normalize { centered: false, ..op };
        assert_eq!(rms.eval(&[&array![[1.0, 7.0]].into_dyn()]).unwrap(), array![[0.2, 1.4]].into_dyn());
        assert!(rms.infer(&[&[2, 3], &[2]]).is_err());
    }
}
