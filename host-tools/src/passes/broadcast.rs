//! Repetitions that the reader can do by broadcasting.

use anyhow::Result;

use super::sweep;
use crate::ir::Graph;
use crate::ops::{Op, shape};

/// Lets sums, differences and products read the one copy of what was repeated along an axis.
pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    sweep(graph, |graph, at| {
        let node = &graph.nodes[at];
        if !matches!(node.op, Op::Add(_) | Op::Sub(_) | Op::Mul(_) | Op::Maximum(_)) {
            return Ok(false);
        }
        let want = graph.value(node.outputs[0]).shape.clone();
        for slot in 0..2 {
            let Some(source) = graph.producer(node.inputs[slot]).and_then(|p| repeated(graph, p)) else { continue };
            let other = &graph.value(node.inputs[1 - slot]).shape;
            if shape::broadcast(&graph.value(source).shape, other).is_ok_and(|s| s == want) {
                graph.nodes[at].inputs[slot] = source;
                return Ok(true);
            }
        }
        Ok(false)
    })
}

/// What a node repeats along an axis of length 1.
fn repeated(graph: &Graph, at: usize) -> Option<crate::ir::ValueId> {
    let node = &graph.nodes[at];
    let Op::Concat(op) = &node.op else { return None };
    let first = node.inputs[0];
    (graph.value(first).shape[op.axis] == 1 && node.inputs.iter().all(|&i| i == first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use crate::ops::{concat::Concat, mul::Mul, reduce_mean::ReduceMean};
    use crate::passes::testing::Harness;

    #[test]
    fn a_repeated_operand_is_broadcast() {
        let mut h = Harness::new(&[2, 3]);
        let mean = h.push(ReduceMean { axes: vec![1] }, &[h.x]);
        let wide = h.push(Concat { axis: 1 }, &[mean, mean, mean]);
        let y = h.push(Mul { clamp: None }, &[h.x, wide]);
        assert_eq!(h.check(y).1, ["ReduceMean", "Mul"]);
    }
}
