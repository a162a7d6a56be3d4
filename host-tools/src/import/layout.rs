//! Operators that move elements and compute nothing.

use anyhow::{Context, Result, bail, ensure};
use ndarray::arr1;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{AxisOp, DimLike};
use tract_onnx::tract_core::ops as t;

use super::typed::{Importer, Wire, constant};
use crate::ir::{Kind, ValueId};
use crate::ops::{concat::Concat, expand::Expand, gather::Gather, pad::Pad, resample2d::Taps, slice::Slice};

/// Longest axis whose padding is one table of all its elements.
const LONGEST_TABLE: usize = 4096;

impl Importer<'_> {
    pub(super) fn layout(&mut self, node: &TypedNode, inputs: &[Wire]) -> Result<ValueId> {
        let op = node.op();
        let value = if let Some(op) = op.downcast_ref::<AxisOp>() {
            self.axis_op(node, op, inputs)?
        } else if let Some(op) = op.downcast_ref::<t::array::Slice>() {
            let (start, end) = (op.start.to_usize()?, op.end.to_usize()?);
            self.slice(node, inputs, Slice { axis: op.axis, start, end, step: 1 })?
        } else if let Some(op) = op.downcast_ref::<t::downsample::Downsample>() {
            self.downsample(node, op, inputs)?
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
            self.cast(node, op.to, inputs)?
        } else {
            return self.indexed(node, inputs);
        };
        Ok(value)
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

    /// Every so many elements along an axis, backwards if the stride is negative.
    fn downsample(&mut self, node: &TypedNode, op: &t::downsample::Downsample, inputs: &[Wire]) -> Result<ValueId> {
        let (axis, step) = (op.axis, op.stride.unsigned_abs());
        let len = self.shape(node.inputs[0])?[axis];
        if op.stride > 0 {
            return self.slice(node, inputs, Slice { axis, start: op.modulo, end: len, step });
        }
        let x = self.value(node, inputs, 0)?;
        let places: Vec<f32> = (0..len).rev().skip(op.modulo).step_by(step).map(|i| i as f32).collect();
        let places = self.graph.constant_of(Kind::Index, format!("{}.places", node.name), arr1(&places).into_dyn());
        self.push(&node.name, Gather { axis }, &[x, places])
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
        // tract holds negative numbers of elements, which are taken away, as if they had no sign.
        let signed = |n: usize| n as i64;
        let mut y = x;
        for (axis, &(before, after)) in op.pads.iter().enumerate() {
            let [first, last] = [before, after].map(|n| usize::try_from(signed(n).min(0).unsigned_abs()).unwrap_or(0));
            if first + last > 0 {
                let end = self.dims(y)[axis].checked_sub(last).filter(|&end| end > first);
                let end = end.context("more elements are taken away than there are")?;
                let name = format!("{}.axis{axis}", node.name);
                y = self.push(&name, Slice { axis, start: first, end, step: 1 }, &[y])?;
            }
        }
        let added = |n: usize| usize::try_from(signed(n)).unwrap_or(0);
        let pads: Vec<(usize, usize)> = op.pads.iter().map(|&(before, after)| (added(before), added(after))).collect();
        if y != x && pads.iter().all(|&pad| pad == (0, 0)) {
            return Ok(y);
        }
        self.push(&node.name, Pad { pads, value }, &[y])
    }

    /// Padding with elements of the tensor: `source` gives the index that stands at an index outside of `0..len`.
    fn pad_by(
        &mut self,
        node: &TypedNode,
        op: &t::array::Pad,
        x: ValueId,
        source: impl Fn(i64, i64) -> i64,
    ) -> Result<ValueId> {
        let (dims, name) = (self.dims(x), &node.name);
        let mut y = x;
        let mut taps = vec![None; dims.len()];
        for (axis, (&len, &(before, after))) in dims.iter().zip(&op.pads).enumerate() {
            let whole = len as i64;
            let sources = |range: std::ops::Range<i64>| range.map(|i| source(i, whole) as usize).collect::<Vec<_>>();
            let (front, back) = (sources(-(before as i64)..0), sources(whole..whole + after as i64));
            if len + before + after <= LONGEST_TABLE {
                let all = front.into_iter().chain(0..len).chain(back);
                taps[axis] = (before + after > 0).then(|| Taps::new(all.map(|i| vec![(i, 1.0)])));
                continue;
            }
            // Of a long axis only what is added goes through a table.
            let mut parts = vec![y];
            for (role, indices) in [("front", front), ("back", back)] {
                let (Some(&first), Some(&last)) = (indices.iter().min(), indices.iter().max()) else { continue };
                let slice = Slice { axis, start: first, end: last + 1, step: 1 };
                let piece = self.push(&format!("{name}.{role}"), slice, &[y])?;
                let mut piece_taps = vec![None; dims.len()];
                piece_taps[axis] = Some(Taps::new(indices.iter().map(|i| vec![(i - first, 1.0)])));
                let piece = self.resample(&format!("{name}.{role}.turned"), piece, piece_taps)?;
                parts.insert(if role == "front" { 0 } else { parts.len() }, piece);
            }
            y = self.push(&format!("{name}.axis{axis}"), Concat { axis }, &parts)?;
        }
        self.resample(name, y, taps)
    }

    /// A gather; one whose constant indices come in even steps is a slice.
    fn gather(&mut self, node: &TypedNode, op: &t::array::Gather, inputs: &[Wire]) -> Result<ValueId> {
        let x = self.value(node, inputs, 0)?;
        if let Some(slice) =
            constant(inputs, 1).map(|at| even(at, op.axis, self.dims(x)[op.axis])).transpose()?.flatten()
        {
            let y = self.push(&format!("{}.slice", node.name), slice, &[x])?;
            let shape = self.shape(node.id.into())?;
            return self.reshape(&node.name, y, &shape);
        }
        let at = self.value(node, inputs, 1)?;
        self.push(&node.name, Gather { axis: op.axis }, &[x, at])
    }

    /// A value repeated to a shape.
    fn broadcast(&mut self, node: &TypedNode, inputs: &[Wire]) -> Result<ValueId> {
        let x = self.value(node, inputs, 0)?;
        let shape = self.shape(node.id.into())?;
        self.expand(&node.name, x, &shape)
    }

    /// The value broadcast to `shape`: where the readers can broadcast themselves, a pass takes that away.
    pub(super) fn expand(&mut self, name: &str, x: ValueId, shape: &[usize]) -> Result<ValueId> {
        let mut from = self.dims(x);
        if from == shape {
            return Ok(x);
        }
        ensure!(from.len() <= shape.len(), "a tensor of {} axes is broadcast to {}", from.len(), shape.len());
        from.splice(0..0, std::iter::repeat_n(1, shape.len() - from.len()));
        let x = self.reshape(&format!("{name}.axes"), x, &from)?;
        self.push(name, Expand { shape: shape.to_vec() }, &[x])
    }

    /// Each axis repeated so many times: `(a, b)` by `(r, s)` is `(1, a, 1, b)` broadcast to `(r, a, s, b)`.
    fn repeat(&mut self, name: &str, x: ValueId, times: &[usize]) -> Result<ValueId> {
        ensure!(!times.contains(&0), "a tensor without elements");
        if times.iter().all(|&t| t == 1) {
            return Ok(x);
        }
        let (mut from, mut wide, mut to) = (Vec::new(), Vec::new(), Vec::new());
        for (&len, &times) in self.dims(x).iter().zip(times) {
            if times != 1 {
                from.push(1);
                wide.push(times);
            }
            from.push(len);
            wide.push(len);
            to.push(len * times);
        }
        let x = self.reshape(&format!("{name}.axes"), x, &from)?;
        let y = self.push(name, Expand { shape: wide }, &[x])?;
        self.reshape(&format!("{name}.tiled"), y, &to)
    }
}

/// The slice that takes the elements at constant indices along an axis of length `len`, if they come in even steps.
fn even(indices: &Tensor, axis: usize, len: usize) -> Result<Option<Slice>> {
    let indices = indices.cast_to::<i64>()?;
    let place = |&i: &i64| {
        let place = usize::try_from(if i < 0 { i + len as i64 } else { i }).ok().filter(|&i| i < len);
        place.with_context(|| format!("index {i} is out of range: the axis has length {len}"))
    };
    let at: Vec<usize> = indices.to_plain_array_view::<i64>()?.iter().map(place).collect::<Result<_>>()?;
    let (Some(&start), Some(&last)) = (at.first(), at.last()) else { bail!("no index is given") };
    let step = at.get(1).map_or(1, |&second| second.saturating_sub(start));
    let even = step > 0 && at.iter().enumerate().all(|(i, &a)| a == start + i * step);
    Ok(even.then_some(Slice { axis, start, end: last + 1, step }))
}
