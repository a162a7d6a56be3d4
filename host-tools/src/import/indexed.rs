//! Operators on places: gather and scatter by element and by block, orderings, running sums, triangles.

use anyhow::{Context, Result, bail, ensure};
use ndarray::{ArrayD, IxDyn};
use teff::kernels::choice::Relation;
use teff::kernels::index::Arithmetic;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops as t;
use tract_onnx::tract_core::ops::array::ScatterReduction;

use super::typed::{Importer, Wire, constant, elements};
use crate::ir::{Kind, ValueId};
use crate::ops::{
    compare::Compare,
    cumulative_sum::CumulativeSum,
    gather_elements::GatherElements,
    gather_nd::GatherNd,
    index_arithmetic::IndexArithmetic,
    scatter::{Places, Scatter},
    select::Select,
    top_k::TopK,
};

impl Importer<'_> {
    pub(super) fn indexed(&mut self, node: &TypedNode, inputs: &[Wire]) -> Result<ValueId> {
        let op = node.op();
        let operands =
            |this: &mut Self| (0..inputs.len()).map(|i| this.value(node, inputs, i)).collect::<Result<Vec<ValueId>>>();
        if let Some(op) = op.downcast_ref::<t::array::GatherElements>() {
            let operands = operands(self)?;
            self.push(&node.name, GatherElements { axis: op.axis }, &operands)
        } else if let Some(op) = op.downcast_ref::<t::array::GatherNd>() {
            let operands = operands(self)?;
            self.push(&node.name, GatherNd { batch_axes: op.batch_dims }, &operands)
        } else if let Some(op) = op.downcast_ref::<t::array::ScatterElements>() {
            let (operands, add) = (operands(self)?, adds(&op.reduction)?);
            self.push(&node.name, Scatter { places: Places::Elements(op.axis), add }, &operands)
        } else if let Some(op) = op.downcast_ref::<t::array::ScatterNd>() {
            let (operands, add) = (operands(self)?, adds(&op.reduction)?);
            self.push(&node.name, Scatter { places: Places::Nd, add }, &operands)
        } else if let Some(op) = op.downcast_ref::<t::array::CumSum>() {
            let x = self.value(node, inputs, 0)?;
            let op = CumulativeSum { axis: op.axis, exclusive: op.exclusive, reverse: op.reverse };
            self.push(&node.name, op, &[x])
        } else if let Some(op) = op.downcast_ref::<t::array::OneHot>() {
            self.one_hot(node, op, inputs)
        } else if let Some(op) = op.downcast_ref::<t::array::Trilu>() {
            self.triangle(node, op.upper, inputs)
        } else {
            bail!("the operator {} is not supported", op.name())
        }
    }

    /// The k extreme elements along an axis, and their indices.
    pub(super) fn top_k(&mut self, node: &TypedNode, inputs: &[Wire]) -> Result<[ValueId; 2]> {
        let op = node.op_as::<t::array::Topk>().context("no TopK")?;
        let k = constant(inputs, 1).context("the number of elements is computed from an input")?;
        let k = usize::try_from(k.cast_to_scalar::<i64>()?)?;
        let x = self.value(node, inputs, 0)?;
        let (axis, largest) = (op.axis, op.largest);
        let places = self.push(&format!("{}.places", node.name), TopK { axis, k, largest }, &[x])?;
        let values = self.push(&node.name, GatherElements { axis }, &[x, places])?;
        Ok([values, places])
    }

    /// One number where the index is the coordinate along a new axis, another elsewhere; an index counts from the end where
    /// it is negative.
    fn one_hot(&mut self, node: &TypedNode, op: &t::array::OneHot, inputs: &[Wire]) -> Result<ValueId> {
        let name = &node.name;
        let x = self.value(node, inputs, 0)?;
        ensure!(self.graph.value(x).kind == Kind::Index, "the indices are not integers");
        let mut shape = self.dims(x);
        shape.insert(op.axis, 1);
        let x = self.reshape(&format!("{name}.axis"), x, &shape)?;
        let (zero, len) = (self.number(node, Kind::Index, 0.0), self.number(node, Kind::Index, op.dim as f32));
        let negative = self.push(&format!("{name}.negative"), Compare { relation: Relation::Less }, &[x, zero])?;
        let sum = IndexArithmetic { operation: Arithmetic::Add };
        let from_end = self.push(&format!("{name}.from_end"), sum, &[x, len])?;
        let x = self.push(&format!("{name}.place"), Select, &[negative, from_end, x])?;
        let mut along = vec![1; shape.len()];
        along[op.axis] = op.dim;
        let places = (0..op.dim).map(|i| i as f32).collect();
        let places = ArrayD::from_shape_vec(IxDyn(&along), places)?;
        let places = self.graph.constant_of(Kind::Index, format!("{name}.places"), places);
        let hot = self.push(&format!("{name}.hot"), Compare { relation: Relation::Equal }, &[x, places])?;
        let mut operands = vec![hot];
        for number in [&op.on, &op.off] {
            let (kind, data) = elements(number)?;
            operands.push(self.graph.constant_of(kind, format!("{name}.number"), data));
        }
        self.push(name, Select, &operands)
    }

    /// The upper or lower triangle of each matrix, 0 elsewhere.
    fn triangle(&mut self, node: &TypedNode, upper: bool, inputs: &[Wire]) -> Result<ValueId> {
        let k = constant(inputs, 1).context("the diagonal is computed from an input")?.cast_to_scalar::<i64>()?;
        let x = self.value(node, inputs, 0)?;
        let dims = self.dims(x);
        let [.., rows, columns] = *dims.as_slice() else { bail!("a tensor of shape {dims:?} has no triangle") };
        let kept = ArrayD::from_shape_fn(IxDyn(&[rows, columns]), |at| {
            let above = at[1] as i64 - at[0] as i64;
            f32::from(u8::from(if upper { above >= k } else { above <= k }))
        });
        let kept = self.graph.constant_of(Kind::Truth, format!("{}.kept", node.name), kept);
        let zero = self.number(node, self.graph.value(x).kind, 0.0);
        self.push(&node.name, Select, &[kept, x, zero])
    }
}

fn adds(reduction: &ScatterReduction) -> Result<bool> {
    match reduction {
        ScatterReduction::None => Ok(false),
        ScatterReduction::Add => Ok(true),
        other => bail!("updates are put or added, not combined by {other:?}"),
    }
}
