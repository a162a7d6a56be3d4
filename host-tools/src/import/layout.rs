//! Operators that move elements and compute nothing.

use anyhow::{Context, Result, bail, ensure};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{AxisOp, DimLike};
use tract_onnx::tract_core::ops as t;

use super::typed::{Importer, Wire, constant};
use crate::ir::ValueId;
use crate::ops::{concat::Concat, pad::Pad, resample2d::Taps, slice::Slice};

impl Importer<'_> {
    pub(super) fn layout(&mut self, node: &TypedNode, inputs: &[Wire]) -> Result<Wire> {
        let op = node.op();
        if let (Some(axis), [Wire::Mask { .. }]) = (op.downcast_ref::<AxisOp>(), inputs) {
            bail!("{axis:?} of truth values is not supported");
        }
        let value = if let Some(op) = op.downcast_ref::<AxisOp>() {
            self.axis_op(node, op, inputs)?
        } else if let Some(op) = op.downcast_ref::<t::array::Slice>() {
            let (start, end) = (op.start.to_usize()?, op.end.to_usize()?);
            self.slice(node, inputs, Slice { axis: op.axis, start, end, step: 1 })?
        } else if let Some(op) = op.downcast_ref::<t::downsample::Downsample>() {
            let step = usize::try_from(op.stride).context("a slice that runs backwards is not supported")?;
            let end = self.shape(node.inputs[0])?[op.axis];
            self.slice(node, inputs, Slice { axis: op.axis, start: op.modulo, end, step })?
        } else if let Some(op) = op.downcast_ref::<t::array::TypedConcat>() {
            let parts = (0..inputs.len()).map(|i| self.value(node, inputs, i)).collect::<Result<Vec<_>>>()?;
            self.push(&node.name, Concat { axis: op.axis }, &parts)?
        } else if let Some(op) = op.downcast_ref::<t::array::Pad>() {
            self.pad(node, op, inputs)?
        } else if let Some(op) = op.downcast_ref::<t::array::Gather>() {
            self.gather(node, op, inputs)?
        } else if op.is::<t::array::MultiBroadcastTo>() {
            self.broadcast(node, inputs)?
        } else if let Some(op) = op.downcast_ref::<t::array::Tile>() {
            let times = op.multipliers.iter().map(|m| m.to_usize()).collect::<Result<Vec<_>, _>>()?;
            let x = self.value(node, inputs, 0)?;
            self.repeat(&node.name, x, &times)?
        } else if let Some(op) = op.downcast_ref::<t::cast::Cast>() {
            let from = self.model.outlet_fact(node.inputs[0])?.datum_type;
            bail!("a conversion from {from:?} to {:?} is not supported: activations are float32", op.to)
        } else {
            bail!("the operator {} is not supported", op.name())
        };
        Ok(Wire::Value(value))
    }

    fn axis_op(&mut self, node: &TypedNode, op: &AxisOp, inputs: &[Wire]) -> Result<ValueId> {
        let x = self.value(node, inputs, 0)?;
        match op {
            AxisOp::Move(from, to) => {
                let mut perm: Vec<usize> = (0..self.dims(x).len()).collect();
                let axis = perm.remove(*from);
                perm.insert(*to, axis);
                self.transpose(&node.name, x, &perm)
            }
            AxisOp::Add(_) | AxisOp::Rm(_) | AxisOp::Reshape(..) => {
                let shape = self.shape(node.id.into())?;
                self.reshape(&node.name, x, &shape)
            }
        }
    }

    fn slice(&mut self, node: &TypedNode, inputs: &[Wire], op: Slice) -> Result<ValueId> {
        let x = self.value(node, inputs, 0)?;
        self.push(&node.name, op, &[x])
    }

    fn pad(&mut self, node: &TypedNode, op: &t::array::Pad, inputs: &[Wire]) -> Result<ValueId> {
        let x = self.value(node, inputs, 0)?;
        let value = match &op.mode {
            t::array::PadMode::Constant(value) => value.cast_to_scalar::<f32>()?,
            t::array::PadMode::Edge => return self.pad_by(node, op, x, |i, len| i.clamp(0, len - 1)),
            t::array::PadMode::Reflect => {
                return self.pad_by(node, op, x, |i, len| {
                    let period = 2 * (len - 1).max(1);
                    let i = i.rem_euclid(period);
                    i.min(period - i).min(len - 1)
                });
            }
        };
        self.push(&node.name, Pad { pads: op.pads.clone(), value }, &[x])
    }

    /// Padding with elements of the tensor: `source` gives the index that stands at an index outside of `0..len`.
    fn pad_by(
        &mut self,
        node: &TypedNode,
        op: &t::array::Pad,
        x: ValueId,
        source: impl Fn(i64, i64) -> i64,
    ) -> Result<ValueId> {
        let dims = self.dims(x);
        let taps = dims.iter().zip(&op.pads).map(|(&len, &(before, after))| {
            let (len, before, after) = (len as i64, before as i64, after as i64);
            let outputs = (-before..len + after).map(|i| vec![(source(i, len) as usize, 1.0)]);
            (before + after > 0).then(|| Taps::new(outputs))
        });
        let taps = taps.collect();
        self.resample(&node.name, x, taps)
    }

    /// A gather with constant indices that make a slice.
    fn gather(&mut self, node: &TypedNode, op: &t::array::Gather, inputs: &[Wire]) -> Result<ValueId> {
        let indices = constant(inputs, 1).context("only constant indices are supported")?;
        let x = self.value(node, inputs, 0)?;
        let len = self.dims(x)[op.axis];
        let indices = indices.cast_to::<i64>()?;
        let wrap = |&i: &i64| usize::try_from(if i < 0 { i + len as i64 } else { i });
        let at: Vec<usize> =
            indices.try_as_plain_ram()?.as_slice::<i64>()?.iter().map(wrap).collect::<Result<_, _>>()?;
        let (Some(&start), Some(&last)) = (at.first(), at.last()) else { bail!("no index is given") };
        let step = at.get(1).map_or(1, |&second| second.saturating_sub(start));
        let even = step > 0 && at.iter().enumerate().all(|(i, &a)| a == start + i * step);
        ensure!(even, "only indices in even steps upwards are supported, these are {at:?}");
        let op = Slice { axis: op.axis, start, end: last + 1, step };
        let y = self.push(&format!("{}.slice", node.name), op, &[x])?;
        let shape = self.shape(node.id.into())?;
        self.reshape(&node.name, y, &shape)
    }

    /// A broadcast, written out: where the readers can broadcast themselves, a pass takes it away.
    fn broadcast(&mut self, node: &TypedNode, inputs: &[Wire]) -> Result<ValueId> {
        let x = self.value(node, inputs, 0)?;
        let shape = self.shape(node.id.into())?;
        let mut from = self.dims(x);
        from.splice(0..0, std::iter::repeat_n(1, shape.len() - from.len()));
        let times: Vec<usize> = shape.iter().zip(&from).map(|(to, from)| to / from).collect();
        let x = self.reshape(&format!("{}.axes", node.name), x, &from)?;
        self.repeat(&node.name, x, &times)
    }

    /// Each axis repeated so many times.
    fn repeat(&mut self, name: &str, x: ValueId, times: &[usize]) -> Result<ValueId> {
        let mut y = x;
        for (axis, &times) in times.iter().enumerate().filter(|(_, times)| **times != 1) {
            ensure!(times > 0, "a tensor without elements");
            y = self.push(&format!("{name}.axis{axis}"), Concat { axis }, &vec![y; times])?;
        }
        Ok(y)
    }
}
