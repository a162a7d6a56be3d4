//! Transposes move down through the operators that allow it.

use std::ops::Range;

use anyhow::Result;
use ndarray::IxDyn;

use super::{simplify::moves_only_ones, sweep};
use crate::ir::{Graph, ValueId};
use crate::ops::{
    Op, concat::Concat, pad::Pad, reduce_mean::ReduceMean, reduce_sum::ReduceSum, reshape::Reshape, slice::Slice,
    transpose::Transpose,
};

/// Moves every transpose one operator further down.
pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    sweep(graph, node)
}

/// Swaps node `at` with the transpose that makes its operand: `op(T(x)) = T(op'(x))`.
pub(super) fn node(graph: &mut Graph, at: usize) -> Result<bool> {
    let node = &graph.nodes[at];
    let Some((transpose, x)) = node.inputs.iter().find_map(|&i| source(graph, i)) else { return Ok(false) };
    let perm = &transpose.perm;
    let last = perm.len() - 1;
    let permuted = |axes: &[usize]| {
        let mut axes: Vec<usize> = axes.iter().map(|&a| perm[a]).collect();
        axes.sort_unstable();
        axes
    };
    let (op, inputs, then): (Op, Vec<ValueId>, Transpose) = match &node.op {
        Op::Clamp(_) | Op::Table(_) | Op::Requantize(_) | Op::FromIndex(_) => (node.op.clone(), vec![x], transpose),
        Op::Softmax(_) if perm[last] == last => (node.op.clone(), vec![x], transpose),
        Op::FullyConnected(_) if perm[last] == last && source(graph, node.inputs[0]).is_some() => {
            let operands = [x].into_iter().chain(node.inputs[1..].iter().copied()).collect();
            (node.op.clone(), operands, transpose)
        }
        Op::ReduceMean(op) => (ReduceMean { axes: permuted(&op.axes) }.into(), vec![x], transpose),
        Op::ReduceSum(op) => (ReduceSum { axes: permuted(&op.axes) }.into(), vec![x], transpose),
        Op::Slice(op) => (Slice { axis: perm[op.axis], ..op.clone() }.into(), vec![x], transpose),
        Op::Pad(op) => {
            let pads = transpose.inverse().pick(&op.pads);
            (Pad { pads, value: op.value }.into(), vec![x], transpose)
        }
        Op::Concat(op) => {
            let op = Concat { axis: perm[op.axis] };
            let Some(inputs) = untransposed(graph, at, &transpose)? else { return Ok(false) };
            return graph_rewrite(graph, at, &op.into(), inputs, transpose);
        }
        Op::Add(_)
        | Op::Sub(_)
        | Op::Mul(_)
        | Op::Div(_)
        | Op::Angle(_)
        | Op::Maximum(_)
        | Op::Minimum(_)
        | Op::Compare(_)
        | Op::Logic(_)
        | Op::PRelu(_) => {
            if graph.value(node.outputs[0]).shape.len() != perm.len() {
                return Ok(false);
            }
            let op = node.op.clone();
            let Some(inputs) = untransposed(graph, at, &transpose)? else { return Ok(false) };
            return graph_rewrite(graph, at, &op, inputs, transpose);
        }
        Op::Reshape(op) => {
            let Some((op, then)) = through_reshape(&graph.value(x).shape, &transpose, &op.shape) else {
                return Ok(false);
            };
            (op.into(), vec![x], then)
        }
        _ => return Ok(false),
    };
    graph.rewrite(at, op, &inputs, then.into())?;
    Ok(true)
}

/// The operands that stand ready before node `at`, which inserted nodes may have pushed down.
fn graph_rewrite(
    graph: &mut Graph,
    at: usize,
    op: &Op,
    inputs: (Vec<ValueId>, usize),
    then: Transpose,
) -> Result<bool> {
    let (inputs, inserted) = inputs;
    graph.rewrite(at + inserted, op.clone(), &inputs, then.into())?;
    Ok(true)
}

/// The transpose that makes a value, and what of.
fn source(graph: &Graph, value: ValueId) -> Option<(Transpose, ValueId)> {
    let node = &graph.nodes[graph.producer(value)?];
    match &node.op {
        Op::Transpose(op) => Some((op.clone(), node.inputs[0])),
        _ => None,
    }
}

/// The operands of node `at` before `transpose`, if all can be had without moving elements, and the number of nodes
/// inserted before it.
fn untransposed(graph: &mut Graph, at: usize, transpose: &Transpose) -> Result<Option<(Vec<ValueId>, usize)>> {
    let inverse = transpose.inverse();
    let inputs = graph.nodes[at].inputs.clone();
    let rank = transpose.perm.len();
    let fits = |graph: &Graph, i: ValueId| {
        let shape = &graph.value(i).shape;
        let free = shape.len() == rank && moves_only_ones(&inverse.perm, shape);
        graph.data(i).is_some() || free || source(graph, i).is_some_and(|(t, _)| t == *transpose)
    };
    if !inputs.iter().all(|&i| fits(graph, i)) {
        return Ok(None);
    }
    let mut inserted = 0;
    let mut operands = Vec::with_capacity(inputs.len());
    for i in inputs {
        let operand = if graph.data(i).is_some() {
            graph.rearranged(i, |at| {
                let mut shape = vec![1; rank - at.ndim()];
                shape.extend(at.shape());
                Ok(at.into_shape_with_order(IxDyn(&shape))?.permuted_axes(IxDyn(&inverse.perm)))
            })?
        } else if let Some((_, x)) = source(graph, i).filter(|(t, _)| t == transpose) {
            x
        } else {
            let (name, shape) = (graph.value(i).name.clone(), inverse.pick(&graph.value(i).shape));
            inserted += 1;
            graph.insert(at + inserted - 1, &format!("{name}.layout"), Reshape { shape }.into(), &[i])?
        };
        operands.push(operand);
    }
    Ok(Some((operands, inserted)))
}

/// `reshape(T(x), to)` as `T'(reshape'(x))`.
///
/// Both shapes split into the smallest runs of axes with equal products. Within a run of several axes of `T(x)` the
/// elements stay together only if these axes lie side by side in `x`, in the same order.
fn through_reshape(x: &[usize], transpose: &Transpose, to: &[usize]) -> Option<(Reshape, Transpose)> {
    let from = transpose.pick(x);
    let runs = runs(&from, to)?;
    // Places of the axes of `x` that are longer than 1, counted among themselves.
    let long: Vec<usize> = (0..x.len()).filter(|&i| x[i] != 1).collect();
    let place = |axis: usize| long.iter().position(|&l| l == axis);
    let mut units = Vec::new();
    for (from_axes, to_axes) in runs {
        let places: Vec<usize> = from_axes.filter_map(|k| place(transpose.perm[k])).collect();
        if places.windows(2).any(|p| p[1] != p[0] + 1) {
            return None;
        }
        units.push((places.first().copied().unwrap_or(usize::MAX), to_axes));
    }
    units.sort_by_key(|(place, axes)| (*place, axes.start));
    let order: Vec<usize> = units.into_iter().flat_map(|(_, axes)| axes).collect();
    let shape = order.iter().map(|&a| to[a]).collect();
    Some((Reshape { shape }, Transpose { perm: order }.inverse()))
}

/// The smallest runs of axes of equal products; axes of length 1 go with the run after them.
fn runs(from: &[usize], to: &[usize]) -> Option<Vec<(Range<usize>, Range<usize>)>> {
    let long = |shape: &[usize], at: usize| (at..shape.len()).find(|&k| shape[k] != 1);
    let mut runs = Vec::new();
    let (mut i, mut j) = (0, 0);
    while let (Some(first), Some(other)) = (long(from, i), long(to, j)) {
        let (start_i, start_j) = (i, j);
        let (mut a, mut b) = (from[first], to[other]);
        (i, j) = (first + 1, other + 1);
        while a != b {
            if a < b {
                a *= from.get(i)?;
                i += 1;
            } else {
                b *= to.get(j)?;
                j += 1;
            }
        }
        runs.push((start_i..i, start_j..j));
    }
    runs.push((i..from.len(), j..to.len()));
    Some(runs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{add::Add, clamp::Clamp, mul::Mul, softmax::Softmax};
    use crate::passes::testing::Harness;

    const TO_NCHW: [usize; 4] = [0, 3, 1, 2];

    /// `x` in NHWC, seen as NCHW.
    fn nchw() -> (Harness, ValueId) {
        let mut h = Harness::new(&[2, 4, 5, 3]);
        let y = h.push(Transpose { perm: TO_NCHW.to_vec() }, &[h.x]);
        (h, y)
    }

    /// Back to NHWC.
    fn back(h: &mut Harness, y: ValueId) -> ValueId {
        h.push(Transpose { perm: vec![0, 2, 3, 1] }, &[y])
    }

    #[test]
    fn runs_are_smallest() {
        assert_eq!(runs(&[2, 12, 5], &[2, 3, 4, 5]).unwrap(), [(0..1, 0..1), (1..2, 1..3), (2..3, 3..4), (3..3, 4..4)]);
        assert_eq!(runs(&[1, 6, 1], &[2, 3]).unwrap(), [(0..2, 0..2), (2..3, 2..2)]);
    }

    #[test]
    fn transposes_pass_elementwise_operators_pads_slices_and_reductions() {
        let (mut h, y) = nchw();
        let c = h.weight(&[3, 1, 1]);
        let y = h.push(Mul { clamp: None }, &[y, c]);
        let y = h.push(Clamp::RELU, &[y]);
        let y = h.push(Pad { pads: vec![(0, 0), (1, 0), (0, 2), (0, 0)], value: 3.0 }, &[y]);
        let y = h.push(Slice { axis: 2, start: 1, end: 6, step: 2 }, &[y]);
        let mean = h.push(ReduceMean { axes: vec![2, 3] }, &[y]);
        let y = h.push(Concat { axis: 3 }, &[y, y]);
        let y = h.push(Add { clamp: None }, &[mean, y]);
        let y = back(&mut h, y);
        let (_, names) = h.check(y);
        assert_eq!(names, ["Mul", "Pad", "Slice", "ReduceMean", "Concat", "Add"]);
    }

    #[test]
    fn a_softmax_over_channels_keeps_its_transposes_only_outside() {
        let (mut h, y) = nchw();
        let y = h.push(Transpose { perm: vec![0, 2, 3, 1] }, &[y]);
        let y = h.push(Softmax, &[y]);
        let y = h.push(Transpose { perm: TO_NCHW.to_vec() }, &[y]);
        assert_eq!(h.check(y).1, ["Softmax"]);
    }

    #[test]
    fn transposes_pass_reshapes_that_keep_runs_together() {
        let (mut h, y) = nchw();
        let y = h.push(Reshape { shape: vec![2, 3, 20] }, &[y]);
        let y = h.push(Clamp::RELU, &[y]);
        let y = h.push(Reshape { shape: vec![2, 3, 4, 5] }, &[y]);
        let y = back(&mut h, y);
        assert_eq!(h.check(y).1, ["Clamp"]);
        let mut h = Harness::new(&[2, 4, 5, 3]);
        let y = h.push(Softmax, &[h.x]);
        let y = h.push(Transpose { perm: TO_NCHW.to_vec() }, &[y]);
        let y = h.push(Reshape { shape: vec![2, 60] }, &[y]);
        let y = h.push(Clamp::RELU, &[y]);
        assert!(h.check(y).1.contains(&"Transpose"));
    }

    #[test]
    fn an_operand_whose_transpose_is_a_reshape_follows() {
        let (mut h, y) = nchw();
        let gate = h.push(ReduceMean { axes: vec![2, 3] }, &[y]);
        let gate = h.push(Reshape { shape: vec![2, 3] }, &[gate]);
        let gate = h.push(Softmax, &[gate]);
        let gate = h.push(Reshape { shape: vec![2, 3, 1, 1] }, &[gate]);
        let y = h.push(Mul { clamp: None }, &[y, gate]);
        let y = back(&mut h, y);
        let (_, names) = h.check(y);
        assert!(!names.contains(&"Transpose"), "{names:?}");
    }
}
