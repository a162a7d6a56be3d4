//! Transposes at the graph's inputs and outputs become the layout of the port.

use anyhow::{Context, Result};

use super::simplify::moves_only_ones;
use crate::ir::{Graph, Value, ValueId};
use crate::ops::{Op, reshape::Reshape, transpose::Transpose};

/// Absorbs transposes into ports.
pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    for port in 0..graph.inputs.len() {
        changed |= input(graph, port)?;
    }
    for port in 0..graph.outputs.len() {
        changed |= output(graph, port);
    }
    Ok(changed)
}

/// The transpose that reads an input is done by whoever fills it. Other readers get the old layout back from a
/// transpose that can move on; for them the layout changes once only.
fn input(graph: &mut Graph, port: usize) -> Result<bool> {
    let x = graph.inputs[port].value;
    if graph.is_output(x) {
        return Ok(false);
    }
    let readers = graph.consumers(x);
    let wanted: Vec<Option<Transpose>> = readers.iter().map(|&r| wanted(graph, r)).collect();
    let Some(transpose) = wanted.iter().flatten().next().cloned() else { return Ok(false) };
    let all = wanted.iter().all(|w| w.as_ref() == Some(&transpose));
    if !all && graph.inputs[port].perm.is_some() {
        return Ok(false);
    }
    let shape = transpose.pick(&graph.value(x).shape);
    let Value { name, kind, pin, .. } = graph.value(x).clone();
    compose(&mut graph.inputs[port].perm, &transpose);
    let filled = graph.activation_of(kind, name.clone(), &shape);
    graph.value_mut(filled).pin = pin;
    graph.inputs[port].value = filled;
    let mut superfluous = Vec::new();
    for (&reader, _) in readers.iter().zip(&wanted).filter(|(_, w)| w.as_ref() == Some(&transpose)) {
        let y = graph.nodes[reader].outputs[0];
        if let Op::Reshape(_) = graph.nodes[reader].op {
            let next = graph.sole_consumer(y).context("the reshape of an input has one reader")?;
            let z = graph.nodes[next].outputs[0];
            let shape = graph.value(z).shape.clone();
            let node = &mut graph.nodes[reader];
            (node.op, node.inputs, node.outputs) = (Reshape { shape }.into(), vec![filled], vec![z]);
            superfluous.push(next);
        } else {
            graph.replace_uses(y, filled);
            superfluous.push(reader);
        }
    }
    superfluous.sort_unstable();
    for at in superfluous.into_iter().rev() {
        graph.nodes.remove(at);
    }
    if !all {
        let back = graph.insert(0, &format!("{name}.layout"), transpose.inverse().into(), &[filled])?;
        graph.replace_uses(x, back);
    }
    Ok(true)
}

/// The transpose of an input that would make a reader's own transpose superfluous.
fn wanted(graph: &Graph, reader: usize) -> Option<Transpose> {
    let node = &graph.nodes[reader];
    match &node.op {
        Op::Transpose(op) => Some(op.clone()),
        Op::Reshape(_) => {
            let y = node.outputs[0];
            let Op::Transpose(next) = &graph.nodes[graph.sole_consumer(y)?].op else { return None };
            let (from, to) = (&graph.value(node.inputs[0]).shape, &graph.value(y).shape);
            // Axes longer than 1 correspond one to one; the input's axes of length 1 stay in front.
            let long = |s: &[usize]| (0..s.len()).filter(|&i| s[i] != 1).collect::<Vec<_>>();
            let (long_from, long_to) = (long(from), long(to));
            if long_from.iter().map(|&i| from[i]).ne(long_to.iter().map(|&i| to[i])) {
                return None;
            }
            let moved = next.perm.iter().filter_map(|p| Some(long_from[long_to.iter().position(|l| l == p)?]));
            let perm: Vec<usize> = (0..from.len()).filter(|&i| from[i] == 1).chain(moved).collect();
            (!moves_only_ones(&perm, from)).then_some(Transpose { perm })
        }
        _ => None,
    }
}

/// The transpose that writes an output is left to whoever reads it.
fn output(graph: &mut Graph, port: usize) -> bool {
    let y = graph.outputs[port].value;
    let Some(at) = graph.producer(y) else { return false };
    let Op::Transpose(transpose) = graph.nodes[at].op.clone() else { return false };
    let x: ValueId = graph.nodes[at].inputs[0];
    let computed_once = graph.producer(x).is_some() && graph.outputs.iter().filter(|p| p.value == y).count() == 1;
    if !computed_once {
        return false;
    }
    let output = &mut graph.outputs[port];
    compose(&mut output.perm, &transpose.inverse());
    output.value = x;
    true
}

/// The layout of a port whose tensor is transposed once more.
fn compose(perm: &mut Option<Vec<usize>>, transpose: &Transpose) {
    let before = Transpose { perm: perm.take().unwrap_or_else(|| (0..transpose.perm.len()).collect()) };
    let after = before.then(transpose);
    *perm = (!after.is_identity()).then_some(after.perm);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{add::Add, clamp::Clamp, conv2d::Conv2d};
    use crate::passes::testing::Harness;

    fn conv(h: &mut Harness, x: ValueId, c: usize) -> ValueId {
        let w = h.weight(&[c, 1, 3, c]);
        let conv =
            Conv2d { kernel: [1, 3], stride: [1, 1], pad: [0, 1, 0, 1], dilation: [1, 1], groups: 1, clamp: None };
        h.push(conv, &[x, w])
    }

    #[test]
    fn an_nchw_model_becomes_an_nhwc_model() {
        let mut h = Harness::new(&[1, 3, 4, 5]);
        let x = h.push(Transpose { perm: vec![0, 2, 3, 1] }, &[h.x]);
        let y = conv(&mut h, x, 3);
        let y = h.push(Transpose { perm: vec![0, 3, 1, 2] }, &[y]);
        let y = h.push(Add { clamp: None }, &[y, h.x]);
        let (graph, names) = h.check(y);
        assert_eq!(names, ["Conv2d", "Add"]);
        assert_eq!(graph.inputs[0].perm.as_deref(), Some(&[0, 2, 3, 1][..]));
        assert_eq!(graph.outputs[0].perm.as_deref(), Some(&[0, 2, 3, 1][..]));
    }

    #[test]
    fn a_sequence_model_has_its_channels_last() {
        let mut h = Harness::new(&[1, 3, 6]);
        let mut y = h.x;
        for _ in 0..2 {
            y = h.push(Reshape { shape: vec![1, 3, 1, 6] }, &[y]);
            y = h.push(Transpose { perm: vec![0, 2, 3, 1] }, &[y]);
            y = conv(&mut h, y, 3);
            y = h.push(Transpose { perm: vec![0, 3, 1, 2] }, &[y]);
            y = h.push(Reshape { shape: vec![1, 3, 6] }, &[y]);
            y = h.push(Clamp::RELU, &[y]);
        }
        let (graph, names) = h.check(y);
        assert_eq!(names, ["Reshape", "Conv2d", "Conv2d", "Reshape"]);
        assert_eq!(graph.inputs[0].perm.as_deref(), Some(&[0, 2, 1][..]));
    }
}
