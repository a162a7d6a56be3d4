//! Bounds fuse into the operator before them, padding into the convolution behind it.

use anyhow::Result;

use super::sweep;
use crate::ir::Graph;
use crate::ops::{Op, clamp::Clamp, conv2d::Conv2d};

/// Fuses clamps and paddings.
pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    sweep(graph, |graph, at| Ok(clamp(graph, at) || pad(graph, at)))
}

/// The name of a fused node: the ONNX node's own name rather than one derived from it.
pub(super) fn shorter_name(kept: &str, other: &str) -> String {
    if kept.starts_with(other) { other } else { kept }.to_string()
}

/// The bounds that an operator can carry.
fn bounds(op: &mut Op) -> Option<&mut Option<Clamp>> {
    match op {
        Op::Conv2d(op) => Some(&mut op.clamp),
        Op::FullyConnected(op) => Some(&mut op.clamp),
        Op::Add(op) => Some(&mut op.clamp),
        Op::Sub(op) => Some(&mut op.clamp),
        Op::Mul(op) => Some(&mut op.clamp),
        _ => None,
    }
}

fn clamp(graph: &mut Graph, at: usize) -> bool {
    let Op::Clamp(clamp) = graph.nodes[at].op else { return false };
    let x = graph.nodes[at].inputs[0];
    let Some(producer) = graph.producer(x).filter(|_| graph.sole_consumer(x).is_some()) else { return false };
    let mut node = graph.nodes[producer].clone();
    let Some(bounds) = bounds(&mut node.op) else { return false };
    *bounds = Some(bounds.map_or(clamp, |first| first.then(clamp)));
    node.outputs = graph.nodes[at].outputs.clone();
    graph.nodes[at] = node;
    true
}

fn pad(graph: &mut Graph, at: usize) -> bool {
    let Op::Conv2d(conv) = &graph.nodes[at].op else { return false };
    let Some(producer) = graph.producer(graph.nodes[at].inputs[0]) else { return false };
    let Op::Pad(pad) = &graph.nodes[producer].op else { return false };
    let [(0, 0), (top, bottom), (left, right), (0, 0)] = *pad.pads.as_slice() else { return false };
    if pad.value != 0.0 {
        return false;
    }
    let added = [top, left, bottom, right];
    let conv = Conv2d { pad: std::array::from_fn(|i| conv.pad[i] + added[i]), ..conv.clone() };
    graph.nodes[at].inputs[0] = graph.nodes[producer].inputs[0];
    graph.nodes[at].op = conv.into();
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{add::Add, pad::Pad};
    use crate::passes::testing::Harness;

    #[test]
    fn padding_and_bounds_join_the_convolution() {
        let mut h = Harness::new(&[1, 4, 4, 2]);
        let w = h.weight(&[3, 3, 3, 2]);
        let conv = Conv2d { kernel: [3, 3], stride: [2, 2], pad: [0; 4], dilation: [1, 1], groups: 1, clamp: None };
        let y = h.push(Pad { pads: vec![(0, 0), (1, 0), (2, 1), (0, 0)], value: 0.0 }, &[h.x]);
        let y = h.push(conv.clone(), &[y, w]);
        let y = h.push(Clamp::RELU, &[y]);
        let y = h.push(Clamp { min: -1.0, max: 1.5 }, &[y]);
        let (graph, _) = h.check(y);
        let clamp = Some(Clamp { min: 0.0, max: 1.5 });
        assert_eq!(graph.nodes.len(), 1);
        assert_eq!(graph.nodes[0].op, Conv2d { pad: [1, 2, 0, 1], clamp, ..conv }.into());
    }

    #[test]
    fn what_others_read_stays_unbounded() {
        let mut h = Harness::new(&[4]);
        let w = h.weight(&[4]);
        let y = h.push(Add { clamp: None }, &[h.x, w]);
        let z = h.push(Clamp::RELU, &[y]);
        let y = h.push(Add { clamp: None }, &[y, z]);
        // x + w and its positive part: together no function of one tensor, for w differs by element.
        assert_eq!(h.check(y).1, ["Add", "Table"]);
    }
}
