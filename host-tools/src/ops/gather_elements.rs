//! An element for each index.

use anyhow::{Result, ensure};
use ndarray::{ArrayD, Axis, Dimension, IxDyn};
use teff::ops::{GATHER_ELEMENTS, gather_elements};

use super::{
    HostOp,
    shape::{arity, indexed_kind, place},
};
use crate::ir::Kind;
use crate::quantize::Rule;
use crate::quantize::lower::{Lower, Lowering};

/// `y[…, i, …] = data[…, indices[…, i, …], …]` along the axis; operands data, indices.
#[derive(Debug, Clone, PartialEq)]
pub struct GatherElements {
    /// The axis.
    pub axis: usize,
}

/// That the indices reach along no axis but `axis` beyond the data.
pub(super) fn fits(what: &str, axis: usize, data: &[usize], indices: &[usize]) -> Result<()> {
    let inside = data.iter().zip(indices).enumerate().all(|(i, (d, n))| i == axis || n <= d);
    ensure!(axis < data.len() && data.len() == indices.len() && inside, "{what}: indices {indices:?} of data {data:?}");
    Ok(())
}

impl HostOp for GatherElements {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("GatherElements", inputs.len(), 2..=2)?;
        fits("GatherElements", self.axis, inputs[0], inputs[1])?;
        Ok(inputs[1].to_vec())
    }

    fn kind(&self, inputs: &[Kind]) -> Result<Kind> {
        indexed_kind(inputs)
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        self.infer(&[inputs[0].shape(), inputs[1].shape()])?;
        let len = inputs[0].len_of(Axis(self.axis));
        let mut y = inputs[1].clone();
        for (at, y) in y.indexed_iter_mut() {
            let mut from = at.slice().to_vec();
            from[self.axis] = place(*y, len)?;
            *y = inputs[0][IxDyn(&from)];
        }
        Ok(y)
    }
}

impl Lower for GatherElements {
    fn rule(&self) -> Rule {
        Rule::SameAsInput
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let operands = [cx.x(0)?, cx.x(1)?];
        cx.step(&GATHER_ELEMENTS, &operands, &gather_elements::Params { axis: u32::try_from(self.axis)? })
    }
}
