//! Repetitions that the reader can do by broadcasting.

use anyhow::Result;

use super::sweep;
use crate::ir::Graph;
use crate::ops::Op;

/// Lets sums, differences and products read the one copy of what was repeated along an axis.
pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    sweep(graph, |graph, at| {
        let node = &graph.nodes[at];
        if !node.op.broadcasts() {
            return Ok(false);
        }
        let want = graph.value(node.outputs[0]).shape.clone();
        for slot in 0..node.inputs.len() {
            let Some(source) = graph.producer(node.inputs[slot]).and_then(|p| repeated(graph, p)) else { continue };
            let mut operands = node.inputs.clone();
            operands[slot] = source;
            let shapes: Vec<&[usize]> = operands.iter().map(|&v| graph.value(v).shape.as_slice()).collect();
            if node.op.infer(&shapes).is_ok_and(|s| s == want) {
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
    let first = node.inputs[0];
    let op = match &node.op {
        Op::Expand(_) => return Some(first),
        Op::Concat(op) => op,
        _ => return None,
    };
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
