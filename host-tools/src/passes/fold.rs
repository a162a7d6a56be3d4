//! Factors and terms by channel fold into the weights before or behind them: batch normalization, biases, scales.

use anyhow::Result;
use ndarray::{ArrayD, Axis, IxDyn};

use super::{fuse::shorter_name, sweep};
use crate::ir::{Graph, ValueId};
use crate::ops::Op;

/// Folds products and sums with constants into convolutions and fully connected layers.
pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    sweep(graph, |graph, at| Ok(behind(graph, at)? || before(graph, at)?))
}

/// `y = factor·x + term`, channel by channel.
struct Affine {
    factor: ArrayD<f32>,
    term: ArrayD<f32>,
}

/// Node `at` as an affine function of its activation, whose last axis has `channels` elements.
fn affine(graph: &Graph, at: usize, channels: usize) -> Option<(Affine, ValueId)> {
    let node = &graph.nodes[at];
    let unbounded = match &node.op {
        Op::Add(op) => op.clamp.is_none(),
        Op::Sub(op) => op.clamp.is_none(),
        Op::Mul(op) => op.clamp.is_none(),
        _ => false,
    };
    let [a, b] = *node.inputs.as_slice() else { return None };
    let (x, constant, swapped) = match (graph.data(a), graph.data(b)) {
        (None, Some(c)) => (a, c, false),
        (Some(c), None) => (b, c, true),
        _ => return None,
    };
    if !unbounded || graph.value(x).shape != graph.value(node.outputs[0]).shape {
        return None;
    }
    let last = constant.shape().last().copied().unwrap_or(1);
    if constant.len() != last || (last != 1 && last != channels) {
        return None;
    }
    let constant = constant.to_shape(IxDyn(&[last])).ok()?.broadcast(IxDyn(&[channels]))?.to_owned();
    let filled = |v: f32| ArrayD::from_elem(IxDyn(&[channels]), v);
    let affine = match (&node.op, swapped) {
        (Op::Add(_), _) => Affine { factor: filled(1.0), term: constant },
        (Op::Sub(_), false) => Affine { factor: filled(1.0), term: -constant },
        (Op::Sub(_), true) => Affine { factor: filled(-1.0), term: constant },
        (Op::Mul(_), _) => Affine { factor: constant, term: filled(0.0) },
        _ => return None,
    };
    Some((affine, x))
}

/// Whether a node multiplies by weights and has no bound, and its output channels.
fn linear(graph: &Graph, at: usize) -> Option<usize> {
    let node = &graph.nodes[at];
    let unbounded = match &node.op {
        Op::Conv2d(op) => op.clamp.is_none(),
        Op::FullyConnected(op) => op.clamp.is_none(),
        _ => false,
    };
    let weights = graph.data(*node.inputs.get(1)?)?;
    let bias_is_constant = node.inputs.get(2).is_none_or(|&b| graph.data(b).is_some());
    (unbounded && bias_is_constant).then(|| weights.shape()[0])
}

/// An affine node behind a linear one.
fn behind(graph: &mut Graph, at: usize) -> Result<bool> {
    let Some(&channels) = graph.value(graph.nodes[at].outputs[0]).shape.last() else { return Ok(false) };
    let Some((affine, x)) = affine(graph, at, channels) else { return Ok(false) };
    let Some(producer) = graph.producer(x).filter(|&p| linear(graph, p) == Some(channels)) else { return Ok(false) };
    if graph.sole_consumer(x).is_none() {
        return Ok(false);
    }
    let mut node = graph.nodes[producer].clone();
    let mut weights = weights(graph, node.inputs[1]);
    for (mut output, &factor) in weights.axis_iter_mut(Axis(0)).zip(&affine.factor) {
        output *= factor;
    }
    let bias = bias(graph, &node.inputs, channels) * &affine.factor + &affine.term;
    set_weights(graph, &mut node.inputs, weights, bias);
    node.name = shorter_name(&node.name, &graph.nodes[at].name);
    node.outputs = graph.nodes[at].outputs.clone();
    graph.nodes[at] = node;
    Ok(true)
}

/// An affine node before a linear one; a term only where there is no padding, which it would not reach.
fn before(graph: &mut Graph, at: usize) -> Result<bool> {
    let Some(outputs) = weights_and_any_bound(graph, at) else { return Ok(false) };
    let node = &graph.nodes[at];
    let x = node.inputs[0];
    let Some(&channels) = graph.value(x).shape.last() else { return Ok(false) };
    let Some(producer) = graph.producer(x) else { return Ok(false) };
    let Some((affine, source)) = affine(graph, producer, channels) else { return Ok(false) };
    let (groups, padded) = match &node.op {
        Op::Conv2d(op) => (op.groups, op.pad != [0; 4]),
        _ => (1, false),
    };
    if graph.sole_consumer(x).is_none() || (padded && affine.term.iter().any(|&t| t != 0.0)) {
        return Ok(false);
    }
    let mut inputs = node.inputs.clone();
    let mut bias = bias(graph, &inputs, outputs);
    let mut weights = weights(graph, inputs[1]);
    let last = Axis(weights.ndim() - 1);
    let per_group = weights.len_of(last);
    for (o, mut output) in weights.axis_iter_mut(Axis(0)).enumerate() {
        let group = o / (outputs / groups);
        for i in 0..per_group {
            let channel = group * per_group + i;
            let mut taps = output.index_axis_mut(Axis(last.0 - 1), i);
            bias[[o]] += taps.sum() * affine.term[[channel]];
            taps *= affine.factor[[channel]];
        }
    }
    inputs[0] = source;
    set_weights(graph, &mut inputs, weights, bias);
    graph.nodes[at].inputs = inputs;
    Ok(true)
}

/// As [`linear`], whatever bounds the result.
fn weights_and_any_bound(graph: &Graph, at: usize) -> Option<usize> {
    let node = &graph.nodes[at];
    let weights = match &node.op {
        Op::Conv2d(_) | Op::FullyConnected(_) => graph.data(*node.inputs.get(1)?)?,
        _ => return None,
    };
    node.inputs.get(2).is_none_or(|&b| graph.data(b).is_some()).then(|| weights.shape()[0])
}

fn weights(graph: &Graph, id: ValueId) -> ArrayD<f32> {
    graph.data(id).map(|d| d.as_ref().clone()).unwrap_or_default()
}

fn bias(graph: &Graph, inputs: &[ValueId], channels: usize) -> ArrayD<f32> {
    let given = inputs.get(2).and_then(|&b| graph.data(b));
    given.map_or_else(|| ArrayD::zeros(IxDyn(&[channels])), |b| b.as_ref().clone())
}

/// Replaces weights and bias; a bias of zeros is left out.
fn set_weights(graph: &mut Graph, inputs: &mut Vec<ValueId>, weights: ArrayD<f32>, bias: ArrayD<f32>) {
    let name = graph.value(inputs[1]).name.clone();
    inputs.truncate(2);
    inputs[1] = graph.constant(name.clone(), weights);
    if bias.iter().any(|&b| b != 0.0) {
        let stem = name.strip_suffix(".weight").unwrap_or(&name);
        inputs.push(graph.constant(format!("{stem}.bias"), bias));
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::{
        add::Add, conv2d::Conv2d, fully_connected::FullyConnected, max_pool2d::MaxPool2d, mul::Mul, sub::Sub,
    };
    use crate::passes::testing::Harness;

    fn conv(groups: usize, pad: [usize; 4]) -> Conv2d {
        Conv2d { kernel: [3, 2], stride: [1, 1], pad, dilation: [1, 1], groups, clamp: None }
    }

    #[test]
    fn batch_normalization_folds_into_the_convolution_before_it() {
        let mut h = Harness::new(&[1, 5, 5, 4]);
        let (w, scale, shift) = (h.weight(&[6, 3, 2, 2]), h.weight(&[1, 1, 1, 6]), h.weight(&[6]));
        let y = h.push(conv(2, [1, 0, 1, 1]), &[h.x, w]);
        let y = h.push(Mul { clamp: None }, &[scale, y]);
        let y = h.push(Add { clamp: None }, &[y, shift]);
        let y = h.push(Sub { clamp: None }, &[shift, y]);
        assert_eq!(h.check(y).1, ["Conv2d"]);
    }

    #[test]
    fn affine_nodes_fold_into_the_weights_behind_them() {
        for (pad, kept) in [([0; 4], 0), ([1; 4], 1)] {
            let mut h = Harness::new(&[1, 5, 5, 4]);
            let (w, scale, shift) = (h.weight(&[6, 3, 2, 2]), h.weight(&[4]), h.weight(&[4]));
            let y = h.push(MaxPool2d { kernel: [2, 2], stride: [1, 1], pad: [0; 4] }, &[h.x]);
            let y = h.push(Add { clamp: None }, &[y, shift]);
            let y = h.push(Mul { clamp: None }, &[y, scale]);
            let y = h.push(conv(2, pad), &[y, w]);
            let (_, names) = h.check(y);
            assert_eq!(names.len(), 2 + kept, "{names:?}");
        }
    }

    #[test]
    fn a_tensor_that_others_read_keeps_its_values() {
        let mut h = Harness::new(&[2, 3]);
        let (w, scale) = (h.weight(&[3, 3]), h.weight(&[3]));
        let y = h.push(FullyConnected { clamp: None }, &[h.x, w]);
        let z = h.push(Mul { clamp: None }, &[y, scale]);
        let y = h.push(Add { clamp: None }, &[y, z]);
        assert_eq!(h.check(y).1, ["FullyConnected", "Mul", "Add"]);
    }
}
