//! Sum of squares over axes, or its root.

use anyhow::Result;
use ndarray::{ArrayD, Axis};
use teff::fixed::Multiplier;
use teff::kernels::energy::ROOT_FRACTION_BITS;
use teff::ops::{REDUCE_SQUARE, reduce_square};

use super::{
    HostOp,
    shape::{arity, reduced},
};
use crate::quantize::lower::{Lower, Lowering};

/// `Σ x²`, or its root, over some axes, which stay with length 1.
#[derive(Debug, Clone, PartialEq)]
pub struct ReduceSquare {
    /// The axes, ascending.
    pub axes: Vec<usize>,
    /// Whether the root is taken.
    pub root: bool,
}

impl HostOp for ReduceSquare {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("ReduceSquare", inputs.len(), 1..=1)?;
        reduced("ReduceSquare", inputs[0], &self.axes)
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        self.infer(&[inputs[0].shape()])?;
        let squares = inputs[0].mapv(|x| f64::from(x) * f64::from(x));
        let sums = self.axes.iter().fold(squares, |x, &axis| x.sum_axis(Axis(axis)).insert_axis(Axis(axis)));
        Ok(sums.mapv(|sum| (if self.root { sum.sqrt() } else { sum }) as f32))
    }
}

impl Lower for ReduceSquare {
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let x = cx.x(0)?;
        let (from, to) = (f64::from(cx.quant(0)?.scale), f64::from(cx.out_quant()?.scale));
        let unit = if self.root { from / f64::from(1_u32 << ROOT_FRACTION_BITS) } else { from * from };
        let Multiplier { mult, shift } = cx.multiplier(unit / to)?;
        let axes = self.axes.iter().fold(0, |mask, axis| mask | 1 << axis);
        let (limits, root) = (cx.limits(None)?, self.root.into());
        cx.step(&REDUCE_SQUARE, &[x], &reduce_square::Params { axes, mult, limits, shift, root, reserved: [0; 2] })
    }
}
