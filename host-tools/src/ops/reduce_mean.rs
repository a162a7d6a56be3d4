//! Mean over axes.

use anyhow::Result;
use ndarray::ArrayD;
use teff::fixed::Multiplier;
use teff::ops::{REDUCE_MEAN, reduce_mean};

use crate::quantize::lower::{Lower, Lowering};
use super::{
    HostOp,
    reduce_sum::sum,
    shape::{arity, reduced},
};

/// Mean over some axes, which stay with length 1.
#[derive(Debug, Clone, PartialEq)]
pub struct ReduceMean {
    /// The axes, ascending.
    pub axes: Vec<usize>,
}

impl HostOp for ReduceMean {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("ReduceMean", inputs.len(), 1..=1)?;
        reduced("ReduceMean", inputs[0], &self.axes)
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        self.infer(&[inputs[0].shape()])?;
        let count: usize = self.axes.iter().map(|&a| inputs[0].shape()[a]).product();
        Ok(sum(inputs[0], &self.axes).mapv(|v| v / count as f32))
    }
}

impl Lower for ReduceMean {
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let shape = cx.shape(0)?;
        let count: usize = self.axes.iter().map(|&axis| shape[axis]).product();
        let x = cx.x(0)?;
        let params = reduce_params(cx, &self.axes, count)?;
        cx.step(&REDUCE_MEAN, &[x], &params)
    }
}

/// Parameters of a sum over `axes`, divided by `divisor`.
pub(super) fn reduce_params(cx: &Lowering<'_>, axes: &[usize], divisor: usize) -> Result<reduce_mean::Params> {
    let factor = f64::from(cx.quant(0)?.scale) / f64::from(cx.out_quant()?.scale) / divisor as f64;
    let Multiplier { mult, shift } = cx.multiplier(factor)?;
    let axes = axes.iter().fold(0, |mask, axis| mask | 1 << axis);
    Ok(reduce_mean::Params { axes, mult, limits: cx.limits(None)?, shift, reserved: [0; 3] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn axes_stay_with_length_one() {
        let x = array![[[1.0, 2.0]], [[3.0, 6.0]]].into_dyn();
        let op = ReduceMean { axes: vec![0, 2] };
        assert_eq!(op.eval(&[&x]).unwrap(), array![[[3.0]]].into_dyn());
        assert!(ReduceMean { axes: vec![3] }.infer(&[x.shape()]).is_err());
    }
}
