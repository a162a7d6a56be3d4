//! Reductions over axes.

use anyhow::{Result, bail, ensure};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer, RmsNorm, Softmax as TractSoftmax, SoftmaxKind};

use super::typed::{Importer, Wire};
use crate::ir::ValueId;
use crate::ops::{
    function::Function, max_pool2d::MaxPool2d, normalize::Normalize, reduce_mean::ReduceMean, reduce_sum::ReduceSum,
    softmax::Softmax, table::Table,
};

impl Importer<'_> {
    pub(super) fn reduce(&mut self, node: &TypedNode, op: &Reduce, inputs: &[Wire]) -> Result<ValueId> {
        let x = self.value(node, inputs, 0)?;
        let mut axes = op.axes.to_vec();
        axes.sort_unstable();
        match op.reducer {
            Reducer::Sum => self.push(&node.name, ReduceSum { axes }, &[x]),
            Reducer::MeanOfSquares => self.mean_of_squares(&node.name, x, axes),
            Reducer::Max => self.max(node, x, &axes),
            other => bail!("the reduction {other:?} is not supported"),
        }
    }

    fn mean_of_squares(&mut self, name: &str, x: ValueId, axes: Vec<usize>) -> Result<ValueId> {
        let squares = self.push(&format!("{name}.square"), Table { function: Function::Square }, &[x])?;
        self.push(name, ReduceMean { axes }, &[squares])
    }

    /// Root mean square normalization: `x / √(mean(x²) + ε)`.
    pub(super) fn rms_norm(&mut self, node: &TypedNode, op: &RmsNorm, inputs: &[Wire]) -> Result<ValueId> {
        let x = self.value(node, inputs, 0)?;
        let epsilon = op.eps.cast_to_scalar::<f32>()?;
        self.push(&node.name, Normalize { axes: vec![op.axis], epsilon, centered: false }, &[x])
    }

    /// The maximum over axes as a pool over an image.
    fn max(&mut self, node: &TypedNode, x: ValueId, axes: &[usize]) -> Result<ValueId> {
        let name = &node.name;
        let dims = self.dims(x);
        let pool = |kernel| MaxPool2d { kernel, stride: [1, 1], pad: [0; 4] };
        if dims.len() == 4 && axes == [2, 3] {
            let x = self.transpose(&format!("{name}.to_nhwc"), x, &[0, 2, 3, 1])?;
            let y = self.push(name, pool([dims[2], dims[3]]), &[x])?;
            return self.transpose(&format!("{name}.from_nhwc"), y, &[0, 3, 1, 2]);
        }
        let kept: Vec<usize> = (0..dims.len()).filter(|i| !axes.contains(i)).collect();
        let perm: Vec<usize> = axes.iter().chain(&kept).copied().collect();
        let len = |axes: &[usize]| axes.iter().map(|&a| dims[a]).product::<usize>();
        let x = self.transpose(&format!("{name}.arrange"), x, &perm)?;
        let x = self.reshape(&format!("{name}.rows"), x, &[1, len(axes), 1, len(&kept)])?;
        let y = self.push(name, pool([len(axes), 1]), &[x])?;
        let shape = self.shape(node.id.into())?;
        self.reshape(&format!("{name}.shape"), y, &shape)
    }

    pub(super) fn softmax(&mut self, node: &TypedNode, op: &TractSoftmax, inputs: &[Wire]) -> Result<ValueId> {
        ensure!(op.kind == SoftmaxKind::Softmax, "end the model with Softmax, or with the logits");
        let x = self.value(node, inputs, 0)?;
        let name = &node.name;
        let dims = self.dims(x);
        let axes = op.axes.to_vec();
        let perm: Vec<usize> = (0..dims.len()).filter(|i| !axes.contains(i)).chain(axes.iter().copied()).collect();
        let moved = self.transpose(&format!("{name}.arrange"), x, &perm)?;
        let shape = self.dims(moved);
        let (rows, inner) = shape.split_at(shape.len() - axes.len());
        let merged: Vec<usize> = rows.iter().copied().chain([inner.iter().product()]).collect();
        let flat = self.reshape(&format!("{name}.rows"), moved, &merged)?;
        let y = self.push(name, Softmax, &[flat])?;
        let y = self.reshape(&format!("{name}.split"), y, &shape)?;
        let back: Vec<usize> = (0..perm.len()).map(|i| perm.iter().position(|&p| p == i).unwrap_or(i)).collect();
        self.transpose(&format!("{name}.order"), y, &back)
    }
}
