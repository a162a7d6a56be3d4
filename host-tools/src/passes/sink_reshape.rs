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
            Op::Clamp(_) | Op::Table(_) | Op::Requantize(_) => source(graph, node.inputs[0]).map(|x| vec![x]),
            Op::Add(_) | Op::Sub(_) | Op::Mul(_) => operands(graph, at)?,
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
/// that varies along the last axis at most, which the reshape leaves as it is.
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
    let whole = &graph.value(node.inputs[1 - constant]).shape;
    let last = data.shape().last().copied().unwrap_or(1);
    let by_channel = data.len() == last && (last == 1 || whole.last() == shape(x).last());
    // A constant of more axes or elements than the activation would widen the result.
    if !by_channel || data.ndim() > whole.len() || (last != 1 && whole.last() != Some(&last)) {
        return Ok(None);
    }
    let data = data.as_ref().clone().into_shape_with_order(IxDyn(&[last]))?;
    let name = graph.value(node.inputs[constant]).name.clone();
    let mut inputs = vec![x, x];
    inputs[constant] = graph.constant(name, data);
    Ok(Some(inputs))
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
    fn a_constant_along_another_axis_holds_the_reshape() {
        let mut h = Harness::new(&[1, 12]);
        let c = h.weight(&[4, 1]);
        let y = h.push(Reshape { shape: vec![4, 3] }, &[h.x]);
        let y = h.push(Mul { clamp: None }, &[y, c]);
        assert_eq!(h.check(y).1, ["Reshape", "Mul"]);
    }
}
