//! Index of the largest or smallest element along an axis.

use anyhow::Result;
use ndarray::{ArrayD, Axis};
use teff::ops::{ARG_EXTREME, arg_extreme};

use super::{
    HostOp,
    shape::{arity, reduced},
};
use crate::ir::Kind;
use crate::quantize::lower::{Lower, Lowering, small};

/// Index of the extreme element along an axis, which stays with length 1.
#[derive(Debug, Clone, PartialEq)]
pub struct ArgExtreme {
    /// The axis.
    pub axis: usize,
    /// Whether the largest element is wanted, not the smallest.
    pub largest: bool,
    /// Whether the last of several equal ones is wanted, not the first.
    pub last: bool,
}

impl HostOp for ArgExtreme {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("ArgExtreme", inputs.len(), 1..=1)?;
        reduced("ArgExtreme", inputs[0], &[self.axis])
    }

    fn kind(&self, _: &[Kind]) -> Result<Kind> {
        Ok(Kind::Index)
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        self.infer(&[inputs[0].shape()])?;
        let place = |line: ndarray::ArrayView1<f32>| {
            let mut best = (line[0], 0);
            for (i, &value) in line.iter().enumerate() {
                let ahead = if self.largest { value > best.0 } else { value < best.0 };
                if ahead || (self.last && value == best.0) {
                    best = (value, i);
                }
            }
            best.1 as f32
        };
        Ok(inputs[0].map_axis(Axis(self.axis), place).insert_axis(Axis(self.axis)))
    }
}

impl Lower for ArgExtreme {
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let x = cx.x(0)?;
        let (largest, last) = (self.largest.into(), self.last.into());
        cx.step(&ARG_EXTREME, &[x], &arg_extreme::Params { axis: small(self.axis)?, largest, last })
    }
}
