//! The quantization that a quantized model prescribes becomes a property of the values that have it.

use crate::ir::{Graph, ValueId};
use crate::ops::{Op, requantize::Requantize};
use crate::quantize::{QuantParams, Rule};

/// Lets the producer of a value write it in the quantization that is prescribed for it next: it rounds once, as if it
/// had computed in real numbers.
///
/// It is the last pass: until then the nodes that prescribe a quantization keep other passes from taking away the
/// values before and behind them.
pub(super) fn run(graph: &mut Graph) {
    let mut at = 0;
    while at < graph.nodes.len() {
        let Op::Requantize(Requantize { to: Some(to) }) = graph.nodes[at].op else {
            at += 1;
            continue;
        };
        let (x, y) = (graph.nodes[at].inputs[0], graph.nodes[at].outputs[0]);
        graph.value_mut(y).pin = Some(to);
        at += 1;
        if prescribed(graph, x) == Some(to) && graph.data(x).is_none() {
            graph.value_mut(x).pin = Some(to);
            // An output that is an input needs a step that copies it.
            if !graph.is_output(y) || graph.producer(x).is_some() {
                graph.replace_uses(y, x);
                at -= 1;
                graph.nodes.remove(at);
            }
        }
    }
    for at in (0..graph.nodes.len()).rev() {
        before_movement(graph, at);
    }
}

/// The quantization of `x`: its own; or the one that all its readers want to see it in, the widest where they differ.
fn prescribed(graph: &Graph, x: ValueId) -> Option<QuantParams> {
    if graph.value(x).pin.is_some() {
        return graph.value(x).pin;
    }
    if graph.is_output(x) {
        return None;
    }
    let wanted = graph.consumers(x).into_iter().map(|reader| match graph.nodes[reader].op {
        Op::Requantize(Requantize { to }) => to,
        _ => None,
    });
    let wanted: Vec<QuantParams> = wanted.collect::<Option<_>>()?;
    wanted.into_iter().max_by(|a, b| a.scale.total_cmp(&b.scale))
}

/// What an operator only moves has the quantization of the result already before it.
fn before_movement(graph: &mut Graph, at: usize) {
    let node = &graph.nodes[at];
    let (x, pin) = (node.inputs[0], graph.value(node.outputs[0]).pin);
    let moves = node.op.rule() == Rule::SameAsInput && graph.sole_consumer(x).is_some() && graph.data(x).is_none();
    if moves && graph.value(x).pin.is_none() {
        graph.value_mut(x).pin = pin;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{clamp::Clamp, fully_connected::FullyConnected, transpose::Transpose};
    use crate::passes::testing::Harness;

    const P: QuantParams = QuantParams::int8(0.01, -128);

    fn prescribe(h: &mut Harness, x: ValueId, to: QuantParams) -> ValueId {
        h.push(Requantize { to: Some(to) }, &[x])
    }

    #[test]
    fn the_producer_writes_what_is_prescribed() {
        let mut h = Harness::new(&[2, 3]);
        let w = h.weight(&[4, 3]);
        let x = h.x;
        let x = prescribe(&mut h, x, QuantParams::int8(0.02, 3));
        let y = h.push(FullyConnected { clamp: None }, &[x, w]);
        let y = h.push(Clamp::RELU, &[y]);
        let y = prescribe(&mut h, y, P);
        let y = h.push(Transpose { perm: vec![1, 0] }, &[y]);
        let y = h.push(crate::ops::softmax::Softmax, &[y]);
        let (graph, names) = h.check(y);
        assert_eq!(names, ["FullyConnected", "Transpose", "Softmax"]);
        let pins: Vec<_> = graph.values.iter().map(|v| v.pin.map(|p| p.zero_point)).collect();
        assert_eq!(pins, [Some(3), None, Some(-128), None, None]);
    }

    #[test]
    fn a_second_quantization_stays_a_step_and_moves_nothing_over_it() {
        let mut h = Harness::new(&[2, 3]);
        let x = h.x;
        let y = prescribe(&mut h, x, P);
        let z = prescribe(&mut h, y, QuantParams { scale: 0.02, ..P });
        let z = prescribe(&mut h, z, QuantParams { scale: 0.02, ..P });
        let y = h.push(crate::ops::add::Add { clamp: None }, &[y, z]);
        let (graph, names) = h.check(y);
        assert_eq!(names, ["Requantize", "Add"]);
        assert_eq!(graph.inputs[0].value, graph.nodes[0].inputs[0]);
    }

    #[test]
    fn before_a_movement_the_values_are_the_same() {
        let mut h = Harness::new(&[2, 3]);
        let y = h.push(crate::ops::slice::Slice { axis: 1, start: 0, end: 3, step: 2 }, &[h.x]);
        let y = prescribe(&mut h, y, P);
        let (graph, names) = h.check(y);
        assert_eq!(names, ["Slice"]);
        assert!(graph.values.iter().all(|v| v.pin == Some(P)));
    }
}
