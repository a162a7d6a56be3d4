//! What enters a softmax: only what comes near the largest of a row matters, so that masks do not widen the range.

use ndarray::ArrayD;

use super::Range;
use crate::ir::{Graph, ValueId};
use crate::ops::Op;

/// `e^−14` is below 2^-20: next to nothing in a result of 16 bits, even many times over.
const DEPTH: f32 = 14.0;

/// The values over whose last axis a softmax, or a logarithm of the sum of exponentials, is taken.
pub(super) fn of(graph: &Graph) -> Vec<ValueId> {
    let takes = |op: &Op| matches!(op, Op::Softmax(_) | Op::LogSumExp(_));
    let inputs = graph.nodes.iter().filter(|n| takes(&n.op)).map(|n| n.inputs[0]);
    // Another reader may need the whole range.
    inputs.filter(|&x| graph.consumers(x).iter().all(|&n| takes(&graph.nodes[n].op)) && !graph.is_output(x)).collect()
}

/// Smallest and largest element, those taken as [`DEPTH`] below the largest of their row that are lower still: so low they
/// saturate, and no higher.
pub(super) fn range(values: &ArrayD<f32>) -> Range {
    let mut range = Range { min: f32::INFINITY, max: f32::NEG_INFINITY };
    for row in values.rows() {
        let max = row.fold(f32::NEG_INFINITY, |a, &b| a.max(b));
        let low = row.iter().fold(max, |low, &v| low.min(v.max(max - DEPTH)));
        range = Range { min: range.min.min(low), max: range.max.max(max) };
    }
    range
}

/// Passes the range of what enters a softmax on to the values that it is made of: to those of which it is another
/// arrangement as it is, and to the terms of a sum as far down as they count. A term so low that the sum saturates whatever
/// the other one is may saturate itself.
pub(super) fn spread(graph: &Graph, mut ranges: Vec<Option<Range>>) -> Vec<Option<Range>> {
    let mut open = of(graph);
    while let Some(value) = open.pop() {
        let (Some(at), Some(range)) = (graph.producer(value), ranges[value.0]) else { continue };
        let node = &graph.nodes[at];
        let own = |source: ValueId| graph.sole_consumer(source).is_some() && graph.producer(source).is_some();
        match &node.op {
            Op::Reshape(_) | Op::Transpose(_) if own(node.inputs[0]) => {
                ranges[node.inputs[0].0] = Some(range);
                open.push(node.inputs[0]);
            }
            Op::Add(op) if op.clamp.is_none() && node.inputs[0] != node.inputs[1] => {
                for (term, other) in [(node.inputs[0], node.inputs[1]), (node.inputs[1], node.inputs[0])] {
                    let largest = match graph.data(other) {
                        Some(data) => data.iter().copied().reduce(f32::max),
                        None => ranges[other.0].map(|r| r.max),
                    };
                    let (Some(own_range), Some(largest), true) = (ranges[term.0], largest, own(term)) else { continue };
                    let min = own_range.min.max(range.min - largest).min(own_range.max);
                    ranges[term.0] = Some(Range { min, ..own_range });
                    open.push(term);
                }
            }
            _ => {}
        }
    }
    ranges
}

/// Raises the constant terms of what enters a softmax to where the sum saturates whatever the other term is: so a mask leaves
/// the steps of a constant to the numbers beside it.
pub fn raise_masks(graph: &mut Graph, ranges: &[Option<Range>]) {
    let mut open = of(graph);
    while let Some(value) = open.pop() {
        let Some(at) = graph.producer(value) else { continue };
        let node = graph.nodes[at].clone();
        match &node.op {
            Op::Reshape(_) | Op::Transpose(_) => open.push(node.inputs[0]),
            Op::Add(op) if op.clamp.is_none() => {
                for (slot, other) in [(0, node.inputs[1]), (1, node.inputs[0])] {
                    let (Some(sum), Some(largest)) = (ranges[value.0], ranges[other.0].map(|r| r.max)) else {
                        continue;
                    };
                    let floor = sum.min - largest;
                    let Some(data) = graph.data(node.inputs[slot]) else {
                        continue;
                    };
                    if data.iter().any(|&v| v < floor) {
                        let raised = data.mapv(|v| v.max(floor));
                        let name = graph.value(node.inputs[slot]).name.clone();
                        graph.nodes[at].inputs[slot] = graph.constant(name, raised);
                    }
                    open.push(other);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_mask_among_the_terms_of_a_sum_does_not_count_either() {
        let mut graph = Graph::default();
        let (a, b) = (graph.activation("a", &[3]), graph.activation("b", &[3]));
        let relu = crate::ops::clamp::Clamp { min: f32::NEG_INFINITY, max: 5.0 };
        let (x, mask) = (graph.push("x", relu.into(), &[a]).unwrap(), graph.push("m", relu.into(), &[b]).unwrap());
        let sum = graph.push("sum", crate::ops::add::Add { clamp: None }.into(), &[x, mask]).unwrap();
        graph.push("y", crate::ops::softmax::Softmax.into(), &[sum]).unwrap();
        let mut ranges = vec![None; graph.values.len()];
        ranges[x.0] = Some(Range { min: -1.0, max: 2.0 });
        ranges[mask.0] = Some(Range { min: -1e4, max: 1.0 });
        ranges[sum.0] = Some(Range { min: -13.0, max: 3.0 });
        let found = spread(&graph, ranges);
        assert_eq!(found[mask.0], Some(Range { min: -15.0, max: 1.0 }));
        assert_eq!(found[x.0], Some(Range { min: -1.0, max: 2.0 }));
    }

    #[test]
    fn masks_do_not_count() {
        let found = range(&array![[1.0, -3.0, -1e4], [-2.0, -30.0, -5.0], [0.0, 0.0, -1.0]].into_dyn());
        assert_eq!(found, Range { min: -16.0, max: 1.0 });
    }
}
