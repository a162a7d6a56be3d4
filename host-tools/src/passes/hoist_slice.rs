//! Slices move up through arithmetic with constants: what is cut away is not computed, and does not widen the range of a
//! constant. (A window's inverse is huge at its ends, which a spectrum's inverse transform cuts away.)

use anyhow::Result;
use ndarray::Axis;

use super::sweep;
use crate::ir::{Graph, ValueId};
use crate::ops::{Op, reshape::Reshape, slice::Slice};

pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    sweep(graph, |graph, at| Ok(above_reshape(graph, at)? || above_arithmetic(graph, at)?))
}

/// A slice with step 1, and the node that computes its operand for it alone.
fn cut(graph: &Graph, at: usize) -> Option<(Slice, usize)> {
    let Op::Slice(slice) = &graph.nodes[at].op else { return None };
    let x = graph.nodes[at].inputs[0];
    let alone = graph.sole_consumer(x).is_some() && graph.value(x).pin.is_none() && !graph.is_output(x);
    (alone && slice.step == 1).then(|| graph.producer(x).map(|producer| (slice.clone(), producer)))?
}

/// Through a reshape that adds or leaves out axes of length 1.
fn above_reshape(graph: &mut Graph, at: usize) -> Result<bool> {
    let Some((slice, producer)) = cut(graph, at) else { return Ok(false) };
    let node = &graph.nodes[producer];
    if !matches!(node.op, Op::Reshape(_)) {
        return Ok(false);
    }
    let (from, to) = (node.inputs[0], node.outputs[0]);
    let long = |id: ValueId| -> Vec<usize> {
        graph.value(id).shape.iter().enumerate().filter(|(_, d)| **d != 1).map(|(axis, _)| axis).collect()
    };
    let lens = |id: ValueId, axes: &[usize]| axes.iter().map(|&axis| graph.value(id).shape[axis]).collect::<Vec<_>>();
    let (long_from, long_to) = (long(from), long(to));
    let place = long_to.iter().position(|&axis| axis == slice.axis);
    let Some(place) = place.filter(|_| lens(from, &long_from) == lens(to, &long_to)) else { return Ok(false) };
    let name = graph.nodes[at].name.clone();
    let shape = graph.value(graph.nodes[at].outputs[0]).shape.clone();
    let cut = graph.insert(at, &format!("{name}.before"), Slice { axis: long_from[place], ..slice }.into(), &[from])?;
    (graph.nodes[at + 1].op, graph.nodes[at + 1].inputs) = (Reshape { shape }.into(), vec![cut]);
    Ok(true)
}

/// Through a product, quotient, sum or difference of which one operand is a constant as long as the axis.
fn above_arithmetic(graph: &mut Graph, at: usize) -> Result<bool> {
    let Some((slice, producer)) = cut(graph, at) else { return Ok(false) };
    let node = graph.nodes[producer].clone();
    if !matches!(node.op, Op::Mul(_) | Op::Div(_) | Op::Add(_) | Op::Sub(_)) {
        return Ok(false);
    }
    let rank = graph.value(node.outputs[0]).shape.len();
    // Where the sliced axis is in an operand; none where it is repeated along it.
    let axis = |graph: &Graph, id: ValueId| {
        let shape = &graph.value(id).shape;
        (slice.axis + shape.len()).checked_sub(rank).filter(|&axis| shape[axis] != 1)
    };
    let plain = |id: &ValueId| graph.data(*id).is_some() && graph.value(*id).integers.is_none();
    let constants: Vec<ValueId> = node.inputs.iter().copied().filter(plain).collect();
    if !constants.iter().any(|&id| axis(graph, id).is_some()) || node.inputs.iter().all(|id| graph.data(*id).is_some())
    {
        return Ok(false);
    }
    let (mut operands, mut at) = (Vec::new(), at);
    for &id in &node.inputs {
        let (Some(axis), name) = (axis(graph, id), graph.value(id).name.clone()) else {
            operands.push(id);
            continue;
        };
        let name = format!("{name}.cut");
        operands.push(match graph.data(id).cloned() {
            Some(data) => {
                let part = data.slice_axis(Axis(axis), (slice.start..slice.end).into()).to_owned();
                graph.constant(name, part)
            }
            None => {
                at += 1;
                graph.insert(at - 1, &name, Slice { axis, ..slice.clone() }.into(), &[id])?
            }
        });
    }
    (graph.nodes[at].op, graph.nodes[at].inputs) = (node.op, operands);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::mul::Mul;
    use crate::ops::softmax::Softmax;
    use crate::passes::testing::Harness;

    #[test]
    fn what_is_cut_away_is_not_multiplied() {
        let mut h = Harness::new(&[2, 6]);
        let w = h.weight(&[6]);
        let x = h.push(Softmax, &[h.x]);
        let x = h.push(Mul { clamp: None }, &[x, w]);
        let x = h.push(Reshape { shape: vec![1, 2, 6] }, &[x]);
        let y = h.push(Slice { axis: 2, start: 1, end: 4, step: 1 }, &[x]);
        let (graph, names) = h.check(y);
        let (slice, mul) = (names.iter().position(|n| *n == "Slice"), names.iter().position(|n| *n == "Mul"));
        assert!(slice < mul && slice.is_some(), "{names:?}");
        let Some(mul) = mul.map(|at| &graph.nodes[at]) else { panic!("{names:?}") };
        assert!(mul.inputs.iter().any(|id| graph.data(*id).is_some_and(|data| data.len() == 3)));
    }
}
