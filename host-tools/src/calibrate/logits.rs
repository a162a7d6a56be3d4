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

/// Gives the range of what enters a softmax to the values of which it is another arrangement.
pub(super) fn spread(graph: &Graph, mut ranges: Vec<Option<Range>>) -> Vec<Option<Range>> {
    for mut value in of(graph) {
        let range = ranges[value.0];
        while let Some(at) = graph.producer(value) {
            let source = graph.nodes[at].inputs[0];
            let moves = matches!(graph.nodes[at].op, Op::Reshape(_) | Op::Transpose(_));
            if !moves || graph.sole_consumer(source).is_none() || graph.producer(source).is_none() {
                break;
            }
            ranges[source.0] = range;
            value = source;
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn masks_do_not_count() {
        let found = range(&array![[1.0, -3.0, -1e4], [-2.0, -30.0, -5.0], [0.0, 0.0, -1.0]].into_dyn());
        assert_eq!(found, Range { min: -16.0, max: 1.0 });
    }
}
