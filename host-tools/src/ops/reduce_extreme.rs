//! Largest or smallest element over axes.

use anyhow::Result;
use ndarray::{ArrayD, Axis};
use teff::ops::{REDUCE_EXTREME, reduce_extreme};

use super::{
    HostOp,
    shape::{arity, reduced, same_kind},
};
use crate::ir::Kind;
use crate::quantize::Rule;
use crate::quantize::lower::{Lower, Lowering};

/// The extreme element over some axes, which stay with length 1.
#[derive(Debug, Clone, PartialEq)]
pub struct ReduceExtreme {
    /// The axes, ascending.
    pub axes: Vec<usize>,
    /// Whether the largest element is wanted, not the smallest.
    pub largest: bool,
}

impl HostOp for ReduceExtreme {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("ReduceExtreme", inputs.len(), 1..=1)?;
        reduced("ReduceExtreme", inputs[0], &self.axes)
    }

    fn kind(&self, inputs: &[Kind]) -> Result<Kind> {
        same_kind(inputs)
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        self.infer(&[inputs[0].shape()])?;
        Ok(self.axes.iter().fold(inputs[0].clone(), |x, &axis| {
            let extreme = |line: ndarray::ArrayView1<f32>| match self.largest {
                true => line.fold(f32::NEG_INFINITY, |a, &b| a.max(b)),
                false => line.fold(f32::INFINITY, |a, &b| a.min(b)),
            };
            x.map_axis(Axis(axis), extreme).insert_axis(Axis(axis))
        }))
    }
}

impl Lower for ReduceExtreme {
    fn rule(&self) -> Rule {
        Rule::SameAsInput
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let x = cx.x(0)?;
        let axes = self.axes.iter().fold(0, |mask, axis| mask | 1 << axis);
        cx.step(&REDUCE_EXTREME, &[x], &reduce_extreme::Params { axes, largest: self.largest.into() })
    }
}
