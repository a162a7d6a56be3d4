//! Masks before a softmax: numbers so low that nothing is left of their exponentials.

use anyhow::Result;

use crate::ir::{Graph, Value, ValueId};
use crate::ops::Op;

/// Every number below this is as good as it before a softmax: its exponential is 0 in float32, whatever is added.
const LOWEST: f32 = -1e4;

/// Raises the constants that reach a softmax by sums, products and choices to [`LOWEST`], −∞ among them: so they leave a
/// range that can be quantized.
pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let softmax = graph.nodes.iter().filter(|n| matches!(n.op, Op::Softmax(_) | Op::LogSumExp(_)));
    let mut open: Vec<ValueId> = softmax.map(|n| n.inputs[0]).collect();
    let (mut seen, mut changed) = (Vec::new(), false);
    while let Some(value) = open.pop() {
        let Some(at) = graph.producer(value).filter(|_| !seen.contains(&value)) else { continue };
        seen.push(value);
        let passes = matches!(
            graph.nodes[at].op,
            Op::Add(_) | Op::Mul(_) | Op::Select(_) | Op::Reshape(_) | Op::Transpose(_) | Op::Expand(_) | Op::Slice(_)
        );
        if !passes {
            continue;
        }
        for slot in 0..graph.nodes[at].inputs.len() {
            let input = graph.nodes[at].inputs[slot];
            let Some(data) = graph.data(input) else {
                open.push(input);
                continue;
            };
            if data.iter().any(|&v| v < LOWEST) {
                let raised = data.mapv(|v| v.max(LOWEST));
                let Value { name, kind, .. } = graph.value(input).clone();
                graph.nodes[at].inputs[slot] = graph.constant_of(kind, name, raised);
                changed = true;
            }
        }
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::ops::{add::Add, softmax::Softmax};
    use crate::passes::testing::Harness;

    #[test]
    fn infinities_become_numbers_and_the_result_stays() {
        let mut h = Harness::new(&[2, 3]);
        let mask = h.graph.constant("mask", array![[0.0, f32::NEG_INFINITY, -1e9], [0.0, 0.0, 0.0]].into_dyn());
        let y = h.push(Add { clamp: None }, &[h.x, mask]);
        let y = h.push(Softmax, &[y]);
        let (graph, names) = h.check(y);
        assert_eq!(names, ["Add", "Softmax"]);
        let mask = graph.nodes[0].inputs[1];
        assert!(graph.data(mask).unwrap().iter().all(|&v| v >= LOWEST));
    }
}
