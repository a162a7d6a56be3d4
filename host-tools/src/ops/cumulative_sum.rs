//! Running sum along an axis.

use anyhow::{Result, ensure};
use ndarray::{ArrayD, Axis};
use teff::fixed::Multiplier;
use teff::ops::{CUMULATIVE_SUM, cumulative_sum};

use super::{HostOp, shape::arity};
use crate::quantize::lower::{Lower, Lowering};

/// The sum of the elements up to each one along an axis.
#[derive(Debug, Clone, PartialEq)]
pub struct CumulativeSum {
    /// The axis.
    pub axis: usize,
    /// Whether an element is left out of its own sum.
    pub exclusive: bool,
    /// Whether the sum runs from the end.
    pub reverse: bool,
}

impl HostOp for CumulativeSum {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("CumulativeSum", inputs.len(), 1..=1)?;
        ensure!(self.axis < inputs[0].len(), "CumulativeSum: axis {} of shape {:?}", self.axis, inputs[0]);
        Ok(inputs[0].to_vec())
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        self.infer(&[inputs[0].shape()])?;
        let mut y = inputs[0].as_standard_layout().into_owned();
        for mut line in y.lanes_mut(Axis(self.axis)) {
            if self.reverse {
                line.invert_axis(Axis(0));
            }
            let mut sum = 0.0_f64;
            for y in line {
                let with = sum + f64::from(*y);
                *y = (if self.exclusive { sum } else { with }) as f32;
                sum = with;
            }
        }
        Ok(y)
    }
}

impl Lower for CumulativeSum {
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let x = cx.x(0)?;
        let factor = f64::from(cx.quant(0)?.scale) / f64::from(cx.out_quant()?.scale);
        let Multiplier { mult, shift } = cx.multiplier(factor)?;
        let params = cumulative_sum::Params {
            mult,
            limits: cx.limits(None)?,
            shift,
            axis: u8::try_from(self.axis)?,
            exclusive: self.exclusive.into(),
            reverse: self.reverse.into(),
        };
        cx.step(&CUMULATIVE_SUM, &[x], &params)
    }
}
