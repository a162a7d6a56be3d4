//! Sum over axes.

use anyhow::Result;
use ndarray::{ArrayD, Axis};
use teff::ops::REDUCE_SUM;

use super::reduce_mean::reduce_params;
use crate::quantize::lower::{Lower, Lowering};
use super::{
    HostOp,
    shape::{arity, reduced},
};

/// Sum over some axes, which stay with length 1.
#[derive(Debug, Clone, PartialEq)]
pub struct ReduceSum {
    /// The axes, ascending.
    pub axes: Vec<usize>,
}

impl HostOp for ReduceSum {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("ReduceSum", inputs.len(), 1..=1)?;
        reduced("ReduceSum", inputs[0], &self.axes)
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        self.infer(&[inputs[0].shape()])?;
        Ok(sum(inputs[0], &self.axes))
    }
}

/// Sums over `axes`, which stay with length 1.
pub(super) fn sum(x: &ArrayD<f32>, axes: &[usize]) -> ArrayD<f32> {
    axes.iter().fold(x.clone(), |x, &a| x.sum_axis(Axis(a)).insert_axis(Axis(a)))
}

impl Lower for ReduceSum {
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let x = cx.x(0)?;
        let params = reduce_params(cx, &self.axes, 1)?;
        cx.step(&REDUCE_SUM, &[x], &params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn axes_stay_with_length_one() {
        let x = array![[[1.0, 2.0]], [[3.0, 6.0]]].into_dyn();
        let op = ReduceSum { axes: vec![0, 2] };
        assert_eq!(op.eval(&[&x]).unwrap(), array![[[12.0]]].into_dyn());
        assert!(ReduceSum { axes: vec![3] }.infer(&[x.shape()]).is_err());
    }
}
