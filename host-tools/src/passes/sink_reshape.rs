//! Reshapes move down through elementwise operators, so that these meet the convolution before the reshape.

use anyhow::Result;
use ndarray::IxDyn;

use super::sweep;
use crate::ir::{Graph, ValueId};
use crate::ops::{Op, reshape::Reshape};

/// Moves every reshape one operator further down.
pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    sweep(graph, |graph, at| {
        let node = &graph.nodes[at];
        let inputs = match &node.op {
            Op::Clamp(_) | Op::Table(_) | Op::Requantize(_) | Op::FromIndex(_) => {
                source(graph, node.inputs[0]).map(|x| vec![x])
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
            | Op::PRelu(_) => operands(graph, at)?,
            _ => None,
        };
        let Some(inputs) = inputs else { return Ok(false) };
        let node = &graph.nodes[at];
        let shape = graph.value(node.outputs[0]).shape.clone();
        let op = node.op.clone();
        graph.rewrite(at, op, &inputs, Reshape { shape }.into())?;
        Ok(true)
    })
}

/// What a value is a reshape of.
fn source(graph: &Graph, value: ValueId) -> Option<ValueId> {
    let node = &graph.nodes[graph.producer(value)?];
    matches!(node.op, Op::Reshape(_)).then(|| node.inputs[0])
}

/// The operands of a binary operator before their reshapes: both from one shape to one shape, or one and a constant
/// that can follow.
fn operands(graph: &mut Graph, at: usize) -> Result<Option<Vec<ValueId>>> {
    let node = &graph.nodes[at];
    let [a, b] = [node.inputs[0], node.inputs[1]];
    let shape = |v: ValueId| &graph.value(v).shape;
    if let (Some(x), Some(y)) = (source(graph, a), source(graph, b)) {
        return Ok((shape(x) == shape(y) && shape(a) == shape(b)).then(|| vec![x, y]));
    }
    let (constant, x) = match (source(graph, a), source(graph, b)) {
        (Some(x), None) => (1, x),
        (None, Some(y)) => (0, y),
        _ => return Ok(None),
    };
    let Some(data) = graph.data(node.inputs[constant]) else { return Ok(None) };
    let (from, to) = (shape(x), &graph.value(node.inputs[1 - constant]).shape);
    if graph.value(node.outputs[0]).shape != *to {
        return Ok(None); // the constant widens the activation
    }
    let Some(shape) = constant_before(data.shape(), from, to) else { return Ok(None) };
    let mut inputs = vec![x, x];
    inputs[constant] = graph.rearranged(node.inputs[constant], |at| Ok(at.into_shape_with_order(IxDyn(&shape))?))?;
    Ok(Some(inputs))
}

/// The shape that makes a constant of the shape `c`, which broadcasts to `to`, broadcast to `from` in the same way.
fn constant_before(c: &[usize], from: &[usize], to: &[usize]) -> Option<Vec<usize>> {
    let last = c.last().copied().unwrap_or(1);
    if c.iter().product::<usize>() == last && (last == 1 || from.last() == to.last()) {
        return Some(vec![last]);
    }
    // A reshape that only adds and removes axes of length 1: the longer axes correspond.
    let long = |s: &[usize]| (0..s.len()).filter(|&i| s[i] != 1).collect::<Vec<_>>();
    let (long_from, long_to) = (long(from), long(to));
    if long_from.iter().map(|&i| from[i]).ne(long_to.iter().map(|&i| to[i])) {
        return None;
    }
    let mut shape = vec![1; from.len()];
    for (f, t) in long_from.into_iter().zip(long_to) {
        shape[f] = (t + c.len()).checked_sub(to.len()).map_or(1, |i| c[i]);
    }
    Some(shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{add::Add, clamp::Clamp, function::Function, mul::Mul, table::Table};
    use crate::passes::testing::Harness;

    #[test]
    fn reshapes_pass_elementwise_operators_and_constants_by_channel() {
        let mut h = Harness::new(&[1, 1, 4, 3]);
        let c = h.weight(&[1, 1, 3]);
        let y = h.push(Reshape { shape: vec![1, 4, 3] }, &[h.x]);
        let y = h.push(Mul { clamp: None }, &[c, y]);
        let y = h.push(Clamp::RELU, &[y]);
        let z = h.push(Table { function: Function::Tanh }, &[y]);
        let y = h.push(Add { clamp: None }, &[y, z]);
        let y = h.push(Reshape { shape: vec![1, 1, 4, 3] }, &[y]);
        assert_eq!(h.check(y).1, ["Mul", "Table"]);
    }

    #[test]
    fn constants_follow_axes_of_length_one() {
        assert_eq!(constant_before(&[4, 1], &[1, 4, 1, 3], &[4, 3]).unwrap(), [1, 4, 1, 1]);
        assert_eq!(constant_before(&[1, 8, 1, 1], &[1, 1, 1, 8], &[1, 8, 1, 1]).unwrap(), [1, 1, 1, 8]);
        assert!(constant_before(&[4, 1], &[12], &[4, 3]).is_none());
    }

    #[test]
    fn a_constant_along_another_axis_holds_the_reshape() {
        let mut h = Harness::new(&[1, 12]);
        let c = h.weight(&[4, 1]);
        let y = h.push(Reshape { shape: vec![4, 3] }, &[h.x]);
        let y = h.push(Mul { clamp: None }, &[y, c]);
        assert_eq!(h.check(y).1, ["Reshape", "Mul"]);
    }
}
