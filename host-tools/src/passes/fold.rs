//! Factors and terms by channel fold into the weights before or behind them: batch normalization, biases, scales.

use anyhow::Result;
use ndarray::{ArrayD, Axis, IxDyn};

use super::{fuse::shorter_name, sweep};
use crate::ir::{Graph, Integers, ValueId, gather};
use crate::ops::{Op, clamp::Clamp};

/// Folds products and sums with constants into convolutions and fully connected layers.
pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    sweep(graph, |graph, at| Ok(behind(graph, at)? || before(graph, at)?))
}

/// `y = factor·x + term`, channel by channel.
struct Affine {
    factor: ArrayD<f32>,
    term: Constant,
}

/// Real numbers, and the integers behind them, if a quantized model has them.
struct Constant {
    reals: ArrayD<f32>,
    integers: Option<Integers>,
}

impl Constant {
    fn of(graph: &Graph, id: ValueId) -> Self {
        let value = graph.value(id);
        let reals = value.constant.as_deref().cloned().unwrap_or_default();
        Self { reals, integers: value.integers.as_deref().cloned() }
    }

    fn zeros(channels: usize) -> Self {
        Self { reals: ArrayD::zeros(IxDyn(&[channels])), integers: None }
    }

    /// Every element times the factor in its place.
    fn scaled(self, factor: &ArrayD<f32>) -> Self {
        let integers = self.integers.and_then(|integers| integers.scaled(factor));
        Self { reals: self.reals * factor, integers }
    }

    /// The sum; it keeps the integers of a summand only if the other is 0 everywhere.
    fn plus(self, other: Self) -> Self {
        let zero = |c: &Self| c.reals.iter().all(|&v| v == 0.0);
        let integers = match (zero(&self), zero(&other)) {
            (_, true) => self.integers,
            (true, false) => other.integers,
            _ => None,
        };
        Self { reals: self.reals + other.reals, integers }
    }

    /// The graph's constant.
    fn add_to(self, graph: &mut Graph, name: String) -> ValueId {
        match self.integers {
            Some(integers) => graph.integers(name, integers),
            None => graph.constant(name, self.reals),
        }
    }
}

/// Node `at` as an affine function of its activation, whose last axis has `channels` elements, and its bounds.
fn affine(graph: &Graph, at: usize, channels: usize) -> Option<(Affine, ValueId, Option<Clamp>)> {
    let node = &graph.nodes[at];
    let clamp = match &node.op {
        Op::Add(op) => op.clamp,
        Op::Sub(op) => op.clamp,
        Op::Mul(op) => op.clamp,
        _ => return None,
    };
    let [a, b] = *node.inputs.as_slice() else { return None };
    let (x, constant, swapped) = match (graph.data(a), graph.data(b)) {
        (None, Some(_)) => (a, b, false),
        (Some(_), None) => (b, a, true),
        _ => return None,
    };
    if graph.value(x).shape != graph.value(node.outputs[0]).shape {
        return None;
    }
    let shape = &graph.value(constant).shape;
    let last = shape.last().copied().unwrap_or(1);
    if graph.value(constant).len() != last || (last != 1 && last != channels) {
        return None;
    }
    let per_channel = ArrayD::from_shape_fn(IxDyn(&[channels]), |at| at[0] % last);
    let Constant { reals, integers } = Constant::of(graph, constant);
    let constant = Constant { reals: gather(&reals, &per_channel), integers: integers.map(|i| i.at(&per_channel)) };
    let filled = |v: f32| ArrayD::from_elem(IxDyn(&[channels]), v);
    let affine = match (&node.op, swapped) {
        (Op::Add(_), _) => Affine { factor: filled(1.0), term: constant },
        (Op::Sub(_), false) => Affine { factor: filled(1.0), term: constant.scaled(&filled(-1.0)) },
        (Op::Sub(_), true) => Affine { factor: filled(-1.0), term: constant },
        (Op::Mul(_), _) => Affine { factor: constant.reals, term: Constant::zeros(channels) },
        _ => return None,
    };
    Some((affine, x, clamp))
}

/// The output channels of a node that multiplies by constant weights, and the bounds of its result.
fn linear(graph: &mut Graph, at: usize) -> Option<(usize, &mut Option<Clamp>)> {
    let inputs = &graph.nodes[at].inputs;
    let weights = graph.data(*inputs.get(1)?)?;
    let channels = weights.shape().first().copied()?;
    if inputs.get(2).is_some_and(|&b| graph.data(b).is_none()) {
        return None;
    }
    match &mut graph.nodes[at].op {
        Op::Conv2d(op) => Some((channels, &mut op.clamp)),
        Op::FullyConnected(op) => Some((channels, &mut op.clamp)),
        _ => None,
    }
}

/// An affine node behind a linear one.
fn behind(graph: &mut Graph, at: usize) -> Result<bool> {
    let Some(&channels) = graph.value(graph.nodes[at].outputs[0]).shape.last() else { return Ok(false) };
    let Some((affine, x, clamp)) = affine(graph, at, channels) else { return Ok(false) };
    let Some(producer) = graph.producer(x).filter(|_| graph.sole_consumer(x).is_some()) else { return Ok(false) };
    match linear(graph, producer) {
        Some((outputs, bounds @ None)) if outputs == channels => *bounds = clamp,
        _ => return Ok(false),
    }
    let mut node = graph.nodes[producer].clone();
    let weights = Constant::of(graph, node.inputs[1]);
    // (O) → (O, 1, …): a factor for each output channel
    let mut shape = vec![1; weights.reals.ndim()];
    shape[0] = channels;
    let weights = weights.scaled(&affine.factor.clone().into_shape_with_order(IxDyn(&shape))?);
    let bias = bias(graph, &node.inputs, channels).scaled(&affine.factor).plus(affine.term);
    set_weights(graph, &mut node.inputs, weights, bias);
    node.name = shorter_name(&node.name, &graph.nodes[at].name);
    node.outputs = graph.nodes[at].outputs.clone();
    graph.nodes[at] = node;
    Ok(true)
}

/// An affine node before a linear one; a term only where there is no padding, which it would not reach, and different
/// factors only where the weights are no integers of a quantized model, which stay as they are.
fn before(graph: &mut Graph, at: usize) -> Result<bool> {
    let Some((outputs, _)) = linear(graph, at) else { return Ok(false) };
    let node = &graph.nodes[at];
    let x = node.inputs[0];
    let Some(&channels) = graph.value(x).shape.last() else { return Ok(false) };
    let Some(producer) = graph.producer(x) else { return Ok(false) };
    let Some((affine, source, None)) = affine(graph, producer, channels) else { return Ok(false) };
    let (groups, padded) = match &node.op {
        Op::Conv2d(op) => (op.groups, op.pad != [0; 4]),
        _ => (1, false),
    };
    let term = &affine.term.reals;
    if graph.sole_consumer(x).is_none() || (padded && term.iter().any(|&t| t != 0.0)) {
        return Ok(false);
    }
    let mut inputs = node.inputs.clone();
    let weights = Constant::of(graph, inputs[1]);
    let uniform = affine.factor.iter().all(|&f| f == affine.factor[[0]]);
    if weights.integers.is_some() && !uniform {
        return Ok(false);
    }
    let mut shifted = ArrayD::<f32>::zeros(IxDyn(&[outputs]));
    let mut factors = ArrayD::<f32>::ones(weights.reals.raw_dim());
    let last = Axis(weights.reals.ndim() - 1);
    let per_group = weights.reals.len_of(last);
    for (o, output) in weights.reals.axis_iter(Axis(0)).enumerate() {
        let group = o / (outputs / groups);
        for i in 0..per_group {
            let channel = group * per_group + i;
            shifted[[o]] += output.index_axis(Axis(last.0 - 1), i).sum() * term[[channel]];
            factors.index_axis_mut(Axis(0), o).index_axis_mut(Axis(last.0 - 1), i).fill(affine.factor[[channel]]);
        }
    }
    let bias = bias(graph, &inputs, outputs).plus(Constant { reals: shifted, integers: None });
    inputs[0] = source;
    set_weights(graph, &mut inputs, weights.scaled(&factors), bias);
    graph.nodes[at].inputs = inputs;
    Ok(true)
}

fn bias(graph: &Graph, inputs: &[ValueId], channels: usize) -> Constant {
    inputs.get(2).map_or_else(|| Constant::zeros(channels), |&b| Constant::of(graph, b))
}

/// Replaces weights and bias; a bias of zeros is left out.
fn set_weights(graph: &mut Graph, inputs: &mut Vec<ValueId>, weights: Constant, bias: Constant) {
    let name = graph.value(inputs[1]).name.clone();
    inputs.truncate(2);
    inputs[1] = weights.add_to(graph, name.clone());
    if bias.reals.iter().any(|&b| b != 0.0) {
        let stem = name.strip_suffix(".weight").unwrap_or(&name);
        inputs.push(bias.add_to(graph, format!("{stem}.bias")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let y = h.push(Sub { clamp: Some(Clamp::RELU) }, &[shift, y]);
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
