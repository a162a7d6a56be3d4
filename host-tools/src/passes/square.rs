//! Sums of squares, and their roots.

use anyhow::Result;

use super::sweep;
use crate::ir::{Graph, ValueId};
use crate::ops::{Op, function::Function, reduce_square::ReduceSquare, table::Table};

/// Lets one operator square and sum, and take the root: nothing is rounded in between.
pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    sweep(graph, |graph, at| {
        let Some((op, x)) = squared(graph, at).or_else(|| rooted(graph, at)) else { return Ok(false) };
        (graph.nodes[at].op, graph.nodes[at].inputs) = (op.into(), vec![x]);
        Ok(true)
    })
}

/// The sum of a square that nobody else reads.
fn squared(graph: &Graph, at: usize) -> Option<(ReduceSquare, ValueId)> {
    let node = &graph.nodes[at];
    let Op::ReduceSum(sum) = &node.op else { return None };
    graph.sole_consumer(node.inputs[0])?;
    let square = &graph.nodes[graph.producer(node.inputs[0])?];
    let x = match (&square.op, square.inputs.as_slice()) {
        (Op::Table(Table { function: Function::Square }), &[x]) => x,
        (Op::Mul(mul), &[a, b]) if a == b && mul.clamp.is_none() => a,
        _ => return None,
    };
    Some((ReduceSquare { axes: sum.axes.clone(), root: false }, x))
}

/// The root of a sum of squares that nobody else reads.
fn rooted(graph: &Graph, at: usize) -> Option<(ReduceSquare, ValueId)> {
    let node = &graph.nodes[at];
    let Op::Table(Table { function: Function::Sqrt }) = &node.op else { return None };
    graph.sole_consumer(node.inputs[0])?;
    let sum = &graph.nodes[graph.producer(node.inputs[0])?];
    match &sum.op {
        Op::ReduceSquare(op) if !op.root => Some((ReduceSquare { root: true, ..op.clone() }, sum.inputs[0])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::reduce_sum::ReduceSum;
    use crate::passes::testing::Harness;

    #[test]
    fn a_norm_is_one_operator() {
        let mut h = Harness::new(&[2, 3, 4]);
        let y = h.push(Table { function: Function::Square }, &[h.x]);
        let y = h.push(ReduceSum { axes: vec![1] }, &[y]);
        let y = h.push(Table { function: Function::Sqrt }, &[y]);
        assert_eq!(h.check(y).1, ["ReduceSquare"]);
    }
}
