//! Operators that do nothing, and pairs that are one.

use anyhow::Result;
use ndarray::ArrayD;

use super::sweep;
use crate::ir::{Graph, Integers, Value, ValueId, places, scalar};
use crate::ops::{Op, mul::Mul, reduce_mean::ReduceMean, requantize::Requantize, reshape::Reshape};

/// Removes operators that do nothing, computes what depends on constants only, merges neighbours of one kind and
/// drops repetitions.
pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let mut changed = sweep(graph, |graph, at| Ok(bypass(graph, at) || constant(graph, at)? || merge(graph, at)?))?;
    changed |= merge_equal(graph);
    Ok(changed)
}

/// A node whose result is its first operand as it is.
fn bypass(graph: &mut Graph, at: usize) -> bool {
    let node = &graph.nodes[at];
    let (x, y) = (node.inputs[0], node.outputs[0]);
    let same_shape = |x: ValueId| graph.value(x).shape == graph.value(y).shape;
    let number = |i: usize| scalar::uniform(graph, node.inputs[i]);
    let source = match &node.op {
        Op::Transpose(op) if op.is_identity() => Some(x),
        Op::Reshape(_) | Op::Slice(_) if same_shape(x) => Some(x),
        Op::Pad(op) if op.pads.iter().all(|&p| p == (0, 0)) => Some(x),
        Op::Concat(_) if node.inputs.len() == 1 => Some(x),
        Op::Clamp(op) if op.min == f32::NEG_INFINITY && op.max == f32::INFINITY => Some(x),
        Op::ReduceMean(_) | Op::ReduceSum(_) if same_shape(x) => Some(x),
        Op::Mul(op) if op.clamp.is_none() && number(1) == Some(1.0) => Some(x),
        Op::Mul(op) if op.clamp.is_none() && number(0) == Some(1.0) => Some(node.inputs[1]),
        Op::Add(op) if op.clamp.is_none() && number(1) == Some(0.0) => Some(x),
        Op::Sub(op) if op.clamp.is_none() && number(1) == Some(0.0) => Some(x),
        Op::Add(op) if op.clamp.is_none() && number(0) == Some(0.0) => Some(node.inputs[1]),
        _ => None,
    };
    match source.filter(|&x| same_shape(x)) {
        Some(x) => {
            let used = graph.is_output(y) || !graph.consumers(y).is_empty();
            graph.replace_uses(y, x);
            used
        }
        None => false,
    }
}

/// A node whose operands are all constants.
fn constant(graph: &mut Graph, at: usize) -> Result<bool> {
    let node = &graph.nodes[at];
    let Some(operands) = node.inputs.iter().map(|&i| graph.data(i).map(|d| d.as_ref())).collect::<Option<Vec<_>>>()
    else {
        return Ok(false);
    };
    let (y, result) = (node.outputs[0], node.op.eval(&operands)?);
    if graph.consumers(y).is_empty() {
        return Ok(false);
    }
    let Value { name, kind, .. } = graph.value(y).clone();
    let folded = match integers(graph, at)? {
        Some(integers) => graph.integers(name, integers),
        None => graph.constant_of(kind, name, result),
    };
    graph.replace_uses(y, folded);
    Ok(true)
}

/// The integers behind the result of a node whose operands are all constants: those of its operand, moved or scaled, or
/// those to which it rounds.
fn integers(graph: &Graph, at: usize) -> Result<Option<Integers>> {
    let node = &graph.nodes[at];
    let operand = |i: usize| graph.value(node.inputs[i]);
    if let (Op::Requantize(Requantize { to: Some(to) }), Some(data)) = (&node.op, &operand(0).constant) {
        let q = data.mapv(|v| to.quantize(v) - to.zero_point);
        let step = ArrayD::from_elem(data.raw_dim(), to.scale);
        return Ok(Some(Integers { q, step }));
    }
    if let Op::Mul(Mul { clamp: None }) = node.op {
        let scaled = |i: usize| {
            let factor = graph.data(node.inputs[1 - i])?.broadcast(operand(i).shape.as_slice())?.to_owned();
            operand(i).integers.as_ref()?.as_ref().clone().scaled(&factor)
        };
        return Ok(scaled(0).or_else(|| scaled(1)));
    }
    let (Some(integers), true) =
        (&operand(0).integers, matches!(node.op, Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_)))
    else {
        return Ok(None);
    };
    // The operator itself moves the places, which f32 counts exactly.
    if operand(0).len() >= 1 << 24 {
        return Ok(None);
    }
    let at = node.op.eval(&[&places(&operand(0).shape).mapv(|i| i as f32)])?;
    Ok(Some(integers.at(&at.mapv(|i| i as usize))))
}

/// A node that does with its producer what one operator can do.
fn merge(graph: &mut Graph, at: usize) -> Result<bool> {
    let node = &graph.nodes[at];
    if let (Op::Transpose(op), shape) = (&node.op, &graph.value(node.inputs[0]).shape)
        && moves_only_ones(&op.perm, shape)
    {
        let shape = graph.value(node.outputs[0]).shape.clone();
        graph.nodes[at].op = Reshape { shape }.into();
        return Ok(true);
    }
    let Some((slot, before)) = (0..node.inputs.len()).find_map(|i| Some((i, graph.producer(node.inputs[i])?))) else {
        return Ok(false);
    };
    let producer = &graph.nodes[before];
    let merged: Op = match (&producer.op, &node.op) {
        (Op::Reshape(_), Op::Reshape(op)) => op.clone().into(),
        (Op::Transpose(first), Op::Transpose(next)) => first.then(next).into(),
        (Op::Clamp(first), Op::Clamp(next)) => first.then(*next).into(),
        (Op::ReduceSum(sum), Op::Mul(mul))
            if mul.clamp.is_none() && graph.sole_consumer(node.inputs[slot]).is_some() =>
        {
            let shape = &graph.value(producer.inputs[0]).shape;
            let count = sum.axes.iter().map(|&a| shape[a]).product::<usize>() as f32;
            match scalar::uniform(graph, node.inputs[1 - slot]) {
                Some(factor) if (factor * count - 1.0).abs() < 1e-6 => ReduceMean { axes: sum.axes.clone() }.into(),
                _ => return Ok(false),
            }
        }
        _ => return Ok(false),
    };
    let inputs = vec![producer.inputs[0]];
    let shape = merged.infer(&[&graph.value(inputs[0]).shape])?;
    if shape != graph.value(node.outputs[0]).shape {
        return Ok(false); // the constant of a product broadcast the sum
    }
    (graph.nodes[at].op, graph.nodes[at].inputs) = (merged, inputs);
    Ok(true)
}

/// Whether a transpose keeps the order of all axes that are longer than 1.
pub(super) fn moves_only_ones(perm: &[usize], shape: &[usize]) -> bool {
    let long: Vec<usize> = perm.iter().copied().filter(|&p| shape[p] != 1).collect();
    long.is_sorted()
}

/// Nodes that compute the same of the same operands.
fn merge_equal(graph: &mut Graph) -> bool {
    let mut changed = false;
    for later in 1..graph.nodes.len() {
        let node = &graph.nodes[later];
        let same = |n: &&crate::ir::Node| n.inputs == node.inputs && n.op == node.op;
        let Some(first) = graph.nodes[..later].iter().find(same).map(|n| n.outputs[0]) else { continue };
        let y = node.outputs[0];
        // Two outputs of the graph stay two values.
        if !graph.consumers(y).is_empty() && !graph.is_output(y) {
            graph.replace_uses(y, first);
            changed = true;
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{clamp::Clamp, mul::Mul, reduce_sum::ReduceSum, transpose::Transpose};
    use crate::passes::testing::Harness;

    #[test]
    fn inverse_transposes_and_reshapes_vanish() {
        let mut h = Harness::new(&[2, 3, 4]);
        let a = h.push(Transpose { perm: vec![1, 2, 0] }, &[h.x]);
        let b = h.push(Clamp::RELU, &[a]);
        let c = h.push(Transpose { perm: vec![2, 0, 1] }, &[b]);
        let d = h.push(Reshape { shape: vec![6, 4] }, &[c]);
        let e = h.push(Reshape { shape: vec![2, 3, 4] }, &[d]);
        assert_eq!(h.check(e).1, ["Clamp"]);
    }

    #[test]
    fn a_scaled_sum_is_a_mean() {
        let mut h = Harness::new(&[1, 4, 5, 3]);
        let n = h.graph.constant("n", ndarray::arr0(1.0 / 20.0).into_dyn());
        let sum = h.push(ReduceSum { axes: vec![1, 2] }, &[h.x]);
        let mean = h.push(Mul { clamp: None }, &[sum, n]);
        assert_eq!(h.check(mean).1, ["ReduceMean"]);
    }

    #[test]
    fn constants_are_computed_and_repetitions_shared() {
        let mut h = Harness::new(&[2, 3]);
        let w = h.weight(&[3, 2]);
        let t = h.push(Transpose { perm: vec![1, 0] }, &[w]);
        let a = h.push(Mul { clamp: None }, &[h.x, t]);
        let b = h.push(Mul { clamp: None }, &[h.x, t]);
        let y = h.push(crate::ops::concat::Concat { axis: 0 }, &[a, b]);
        assert_eq!(h.check(y).1, ["Mul", "Concat"]);
    }
}
