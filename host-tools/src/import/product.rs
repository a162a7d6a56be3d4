//! Matrix products: with constant weights, and of two activations.

use anyhow::{Context, Result, bail, ensure};
use ndarray::IxDyn;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::einsum::EinSum;

use super::typed::{Importer, Weights, Wire};
use crate::ir::ValueId;
use crate::ops::{conv2d::Conv2d, fully_connected::FullyConnected, matmul::MatMul, reduce_sum::ReduceSum};

/// An axis of a product: where it stands in the activation, the weights and the output.
struct Axis {
    x: Option<usize>,
    w: Option<usize>,
    y: Option<usize>,
    len: usize,
}

/// The axes of a product by their role.
#[derive(Default)]
struct Roles {
    /// In the activation, the weights and the output.
    batch: Vec<Axis>,
    /// In the activation and the output.
    rows: Vec<Axis>,
    /// Summed over.
    inner: Vec<Axis>,
    /// In the weights and the output.
    columns: Vec<Axis>,
}

fn product(axes: &[Axis]) -> usize {
    axes.iter().map(|a| a.len).product()
}

impl Importer<'_> {
    pub(super) fn product(&mut self, node: &TypedNode, op: &EinSum, inputs: &[Wire]) -> Result<ValueId> {
        match *inputs {
            [Wire::Value(a), Wire::Value(b)] => return self.pairwise(node, op, [a, b]),
            [Wire::Value(x)] => return self.contract(node, op, x),
            [_, _] => {}
            _ => bail!("a product of {} operands: split it into products of two", inputs.len()),
        }
        let weights = [Weights::of(inputs, 0)?, Weights::of(inputs, 1)?];
        let (x_slot, w_slot, weights) = match (inputs, weights) {
            ([_, Wire::Value(_)], [Some(w), _]) => (1, 0, w),
            ([Wire::Value(_), _], [_, Some(w)]) => (0, 1, w),
            _ => bail!("a product of constants and of what is not supported"),
        };
        let x = self.value(node, inputs, x_slot)?;
        let roles = roles(op, (x_slot, &self.dims(x)), (w_slot, weights.reals.shape()))?;
        if product(&roles.batch) > 1 {
            self.grouped(node, x, weights, &roles)
        } else {
            self.dense(node, x, weights, &roles)
        }
    }

    /// A product of two activations: rows by rows.
    fn pairwise(&mut self, node: &TypedNode, op: &EinSum, [a, b]: [ValueId; 2]) -> Result<ValueId> {
        let (a_dims, b_dims) = (self.dims(a), self.dims(b));
        let roles = roles(op, (0, &a_dims), (1, &b_dims))?;
        let Roles { batch, rows, inner, columns } = &roles;
        let order: [&[Axis]; 4] = [batch, rows, columns, inner];
        let a = self.arrange(node, a, &order, |axis| axis.x)?;
        let a = self.reshape(&format!("{}.rows", node.name), a, &[product(batch), product(rows), product(inner)])?;
        let b = self.arrange(node, b, &order, |axis| axis.w)?;
        let b =
            self.reshape(&format!("{}.columns", node.name), b, &[product(batch), product(columns), product(inner)])?;
        let y = self.push(&node.name, MatMul { clamp: None }, &[a, b])?;
        self.finish(node, y, &[batch, rows, columns])
    }

    /// A sum over some axes, the others in another order.
    fn contract(&mut self, node: &TypedNode, op: &EinSum, x: ValueId) -> Result<ValueId> {
        let (mut summed, mut kept) = (Vec::new(), Vec::new());
        for axis in op.axes.iter_all_axes() {
            match (axis.inputs[0].as_slice(), axis.outputs[0].as_slice()) {
                ([from], []) => summed.push(*from),
                ([from], [to]) => kept.push((*from, *to)),
                _ => bail!("the product {} takes a diagonal", op.axes),
            }
        }
        summed.sort_unstable();
        kept.sort_unstable();
        let shape: Vec<usize> = kept.iter().map(|&(from, _)| self.dims(x)[from]).collect();
        let x = match summed.is_empty() {
            true => x,
            false => self.push(&format!("{}.sum", node.name), ReduceSum { axes: summed }, &[x])?,
        };
        let x = self.reshape(&format!("{}.kept", node.name), x, &shape)?;
        let perm: Vec<usize> = (0..kept.len()).filter_map(|to| kept.iter().position(|&(_, t)| t == to)).collect();
        self.transpose(&node.name, x, &perm)
    }

    /// One matrix for all rows: a fully connected layer.
    fn dense(&mut self, node: &TypedNode, x: ValueId, w: Weights, roles: &Roles) -> Result<ValueId> {
        let (rows, inner, columns) = (&roles.rows, &roles.inner, &roles.columns);
        let (depth, outputs) = (product(inner), product(columns));
        // Axes of length 1 that one operand broadcasts stand among the rows or columns: their place does not matter.
        let x = self.arrange(node, x, &[&roles.batch, rows, columns, inner], |a| a.x)?;
        let mut shape: Vec<usize> = rows.iter().map(|a| a.len).collect();
        shape.push(depth);
        let x = self.reshape(&format!("{}.rows", node.name), x, &shape)?;
        let w = arrange(&w, &[&roles.batch, rows, columns, inner], &[outputs, depth])?;
        let w = w.add_to(&mut self.graph, format!("{}.weight", node.name));
        let y = self.push(&node.name, FullyConnected { clamp: None }, &[x, w])?;
        self.finish(node, y, &[&roles.batch, rows, columns])
    }

    /// A matrix for each batch: a 1×1 convolution with as many groups, the rows along the width.
    fn grouped(&mut self, node: &TypedNode, x: ValueId, w: Weights, roles: &Roles) -> Result<ValueId> {
        let (groups, rows) = (product(&roles.batch), product(&roles.rows));
        let (depth, outputs) = (product(&roles.inner), product(&roles.columns));
        let x = self.arrange(node, x, &[&roles.rows, &roles.batch, &roles.columns, &roles.inner], |a| a.x)?;
        let x = self.reshape(&format!("{}.rows", node.name), x, &[1, 1, rows, groups * depth])?;
        let order: [&[Axis]; 4] = [&roles.rows, &roles.batch, &roles.columns, &roles.inner];
        let w = arrange(&w, &order, &[groups * outputs, 1, 1, depth])?;
        let w = w.add_to(&mut self.graph, format!("{}.weight", node.name));
        let conv = Conv2d { kernel: [1, 1], stride: [1, 1], pad: [0; 4], dilation: [1, 1], groups, clamp: None };
        let y = self.push(&node.name, conv, &[x, w])?;
        self.finish(node, y, &[&roles.rows, &roles.batch, &roles.columns])
    }

    /// The activation with its axes in the given order.
    fn arrange(
        &mut self,
        node: &TypedNode,
        x: ValueId,
        order: &[&[Axis]],
        place: impl Fn(&Axis) -> Option<usize>,
    ) -> Result<ValueId> {
        let perm: Vec<usize> = order.iter().copied().flatten().filter_map(place).collect();
        self.transpose(&format!("{}.arrange", node.name), x, &perm)
    }

    /// A result whose axes are `order`, in the shape and order of the node's output.
    fn finish(&mut self, node: &TypedNode, y: ValueId, order: &[&[Axis]]) -> Result<ValueId> {
        let axes: Vec<&Axis> = order.iter().copied().flatten().filter(|a| a.y.is_some()).collect();
        let shape: Vec<usize> = axes.iter().map(|a| a.len).collect();
        let y = self.reshape(&format!("{}.split", node.name), y, &shape)?;
        let mut perm = vec![0; axes.len()];
        for (from, to) in axes.iter().filter_map(|a| a.y).enumerate() {
            *perm.get_mut(to).context("an output axis is missing")? = from;
        }
        self.transpose(&format!("{}.order", node.name), y, &perm)
    }
}

/// The weights with their axes in the given order, and then in the given shape.
fn arrange(w: &Weights, order: &[&[Axis]], shape: &[usize]) -> Result<Weights> {
    let perm: Vec<usize> = order.iter().copied().flatten().filter_map(|a| a.w).collect();
    ensure!(perm.len() == w.reals.ndim(), "an axis of the weights is not used");
    w.rearranged(|at| {
        let at = at.permuted_axes(IxDyn(&perm)).as_standard_layout().into_owned();
        Ok(at.into_shape_with_order(IxDyn(shape))?)
    })
}

/// Sorts the axes of a product by their role.
fn roles(op: &EinSum, (x_slot, x_dims): (usize, &[usize]), (w_slot, w_dims): (usize, &[usize])) -> Result<Roles> {
    let mut roles = Roles::default();
    for axis in op.axes.iter_all_axes() {
        let place = |places: &[usize]| match places {
            [] => Ok(None),
            [one] => Ok(Some(*one)),
            _ => bail!("the product {} takes a diagonal", op.axes),
        };
        let (x, w, y) = (place(&axis.inputs[x_slot])?, place(&axis.inputs[w_slot])?, place(&axis.outputs[0])?);
        let (x_len, w_len) = (x.map_or(1, |i| x_dims[i]), w.map_or(1, |i| w_dims[i]));
        let axis = Axis { x, w, y, len: x_len.max(w_len) };
        let role = match (x, w, y) {
            (Some(_), Some(_), Some(_)) if x_len == w_len => &mut roles.batch,
            (Some(_), Some(_), Some(_)) if w_len == 1 => &mut roles.rows,
            (Some(_), Some(_), Some(_)) if x_len == 1 => &mut roles.columns,
            (Some(_), None, Some(_)) => &mut roles.rows,
            (None, Some(_), Some(_)) => &mut roles.columns,
            (Some(_), Some(_), None) if x_len == w_len => &mut roles.inner,
            (Some(_), None, None) | (None, Some(_), None) if axis.len == 1 => &mut roles.inner,
            _ => bail!("the product {} of shapes {x_dims:?} and {w_dims:?} is not supported", op.axes),
        };
        role.push(axis);
    }
    Ok(roles)
}
