//! Reductions over axes.

use anyhow::{Result, bail};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer, RmsNorm, Softmax as TractSoftmax, SoftmaxKind};

use super::typed::{Importer, Wire};
use crate::ir::{Kind, ValueId};
use crate::ops::{
    arg_extreme::ArgExtreme, function::Function, log_sum_exp::LogSumExp, max_pool2d::MaxPool2d, mul::Mul,
    normalize::Normalize, reduce_extreme::ReduceExtreme, reduce_mean::ReduceMean, reduce_sum::ReduceSum, slice::Slice,
    softmax::Softmax, sub::Sub, table::Table,
};

impl Importer<'_> {
    pub(super) fn reduce(&mut self, node: &TypedNode, op: &Reduce, inputs: &[Wire]) -> Result<ValueId> {
        let x = self.value(node, inputs, 0)?;
        let mut axes = op.axes.to_vec();
        axes.sort_unstable();
        let name = &node.name;
        match op.reducer {
            Reducer::Sum => self.push(name, ReduceSum { axes }, &[x]),
            Reducer::MeanOfSquares => self.mean_of_squares(name, x, axes),
            Reducer::Max if self.graph.value(x).kind == Kind::Real && self.dims(x).len() == 4 && axes == [2, 3] => {
                self.global_max(name, x)
            }
            Reducer::Max | Reducer::Any => self.push(name, ReduceExtreme { axes, largest: true }, &[x]),
            Reducer::Min | Reducer::All => self.push(name, ReduceExtreme { axes, largest: false }, &[x]),
            Reducer::Prod => axes.iter().try_fold(x, |x, &axis| self.reduce_product(name, x, axis)),
            Reducer::ArgMax(last) | Reducer::ArgMin(last) => {
                let largest = matches!(op.reducer, Reducer::ArgMax(_));
                let [axis] = *axes.as_slice() else { bail!("the place of an extreme over several axes") };
                self.push(name, ArgExtreme { axis, largest, last }, &[x])
            }
        }
    }

    /// The product along an axis, which stays with length 1: halves of it times each other.
    fn reduce_product(&mut self, name: &str, x: ValueId, axis: usize) -> Result<ValueId> {
        let len = self.dims(x)[axis];
        if len == 1 {
            return Ok(x);
        }
        let half = len / 2;
        let part = |start, end| Slice { axis, start, end, step: 1 };
        let first = self.push(&format!("{name}.first"), part(0, half), &[x])?;
        let second = self.push(&format!("{name}.second"), part(half, 2 * half), &[x])?;
        let product = self.push(name, Mul { clamp: None }, &[first, second])?;
        let product = self.reduce_product(name, product, axis)?;
        if len.is_multiple_of(2) {
            return Ok(product);
        }
        let last = self.push(&format!("{name}.last"), part(len - 1, len), &[x])?;
        self.push(name, Mul { clamp: None }, &[product, last])
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

    /// The maximum over all pixels of an image, as a pool.
    fn global_max(&mut self, name: &str, x: ValueId) -> Result<ValueId> {
        let dims = self.dims(x);
        let pool = MaxPool2d { kernel: [dims[2], dims[3]], stride: [1, 1], pad: [0; 4] };
        let x = self.transpose(&format!("{name}.to_nhwc"), x, &[0, 2, 3, 1])?;
        let y = self.push(name, pool, &[x])?;
        self.transpose(&format!("{name}.from_nhwc"), y, &[0, 3, 1, 2])
    }

    pub(super) fn softmax(&mut self, node: &TypedNode, op: &TractSoftmax, inputs: &[Wire]) -> Result<ValueId> {
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
        let y = match op.kind {
            SoftmaxKind::Softmax => self.push(name, Softmax, &[flat])?,
            SoftmaxKind::LogSoftmax => {
                let sum = self.push(&format!("{name}.log_sum"), LogSumExp, &[flat])?;
                self.push(name, Sub { clamp: None }, &[flat, sum])?
            }
        };
        let y = self.reshape(&format!("{name}.split"), y, &shape)?;
        let back: Vec<usize> = (0..perm.len()).map(|i| perm.iter().position(|&p| p == i).unwrap_or(i)).collect();
        self.transpose(&format!("{name}.order"), y, &back)
    }
}
