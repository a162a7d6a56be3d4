//! Slices along an axis, named by indices.

use anyhow::{Result, ensure};
use ndarray::{ArrayD, Axis, IxDyn};
use teff::ops::{GATHER, gather};

use super::{
    HostOp,
    shape::{arity, indexed_kind, place},
};
use crate::ir::Kind;
use crate::quantize::Rule;
use crate::quantize::lower::{Lower, Lowering};

/// `y[…, i…, …] = data[…, indices[i…], …]`, the axis replaced by those of the indices; operands data, indices.
#[derive(Debug, Clone, PartialEq)]
pub struct Gather {
    /// The axis of the data.
    pub axis: usize,
}

impl HostOp for Gather {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("Gather", inputs.len(), 2..=2)?;
        ensure!(self.axis < inputs[0].len(), "Gather: axis {} of shape {:?}", self.axis, inputs[0]);
        Ok([&inputs[0][..self.axis], inputs[1], &inputs[0][self.axis + 1..]].concat())
    }

    fn kind(&self, inputs: &[Kind]) -> Result<Kind> {
        indexed_kind(inputs)
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        let shape = self.infer(&[inputs[0].shape(), inputs[1].shape()])?;
        let len = inputs[0].len_of(Axis(self.axis));
        let at = inputs[1].iter().map(|&i| place(i, len)).collect::<Result<Vec<_>>>()?;
        let y = inputs[0].select(Axis(self.axis), &at).as_standard_layout().into_owned();
        Ok(y.into_shape_with_order(IxDyn(&shape))?)
    }
}

impl Lower for Gather {
    fn rule(&self) -> Rule {
        Rule::SameAsInput
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let operands = [cx.x(0)?, cx.x(1)?];
        cx.step(&GATHER, &operands, &gather::Params { axis: u32::try_from(self.axis)? })
    }
}
