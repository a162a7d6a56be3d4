//! Elementwise chains over one tensor become one table.

use anyhow::Result;

use crate::ir::{Graph, Kind, ValueId, scalar};
use crate::ops::{Op, expr::Expr, function::Function, table::Table};

/// Chains with a curve in them: a table, or a product or sum of functions of one tensor.
pub(super) fn curved(graph: &mut Graph) -> Result<bool> {
    collapse(graph, |graph, nodes| {
        nodes.iter().any(|&n| {
            let node = &graph.nodes[n];
            let activations = node.inputs.iter().filter(|&&i| graph.data(i).is_none()).count();
            matches!(node.op, Op::Table(_) | Op::Select(_)) || activations == 2
        })
    })
}

/// Chains of products and sums with numbers and of clamps, which nothing before them could take.
pub(super) fn straight(graph: &mut Graph) -> Result<bool> {
    collapse(graph, |_, nodes| nodes.len() > 1)
}

/// Collapses, from the outputs up, every longest chain that `wanted` admits and whose inner values nobody else reads.
fn collapse(graph: &mut Graph, wanted: impl Fn(&Graph, &[usize]) -> bool) -> Result<bool> {
    let mut changed = false;
    for at in (0..graph.nodes.len()).rev() {
        let y = graph.nodes[at].outputs[0];
        if (graph.consumers(y).is_empty() && !graph.is_output(y)) || graph.value(y).kind != Kind::Real {
            continue;
        }
        let mut roots = scalar::roots(graph, y);
        roots.retain(|&r| r != y);
        // The farthest root makes the longest chain.
        let chain = roots.iter().rev().find_map(|&root| Some((root, chain(graph, y, root)?)));
        let Some((root, (expr, nodes))) = chain else { continue };
        let alone = nodes.len() == 1 && matches!(graph.nodes[at].op, Op::Table(_) | Op::Clamp(_));
        if alone || !wanted(graph, &nodes) {
            continue;
        }
        graph.nodes[at].op = Table { function: Function::from_expr(expr) }.into();
        graph.nodes[at].inputs = vec![root];
        changed = true;
    }
    Ok(changed)
}

/// `y` as a function of `root`, if no value between them is read elsewhere.
fn chain(graph: &Graph, y: ValueId, root: ValueId) -> Option<(Expr, Vec<usize>)> {
    let (expr, nodes) = scalar::trace(graph, y, root)?;
    let inner = nodes.iter().map(|&n| graph.nodes[n].outputs[0]).filter(|&v| v != y);
    let closed = inner.into_iter().all(|v| !graph.is_output(v) && graph.consumers(v).iter().all(|c| nodes.contains(c)));
    closed.then_some((expr, nodes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{add::Add, clamp::Clamp, mul::Mul, softmax::Softmax};
    use crate::passes::testing::Harness;
    use ndarray::arr0;

    #[test]
    fn a_written_out_hard_swish_is_one_table() {
        let mut h = Harness::new(&[2, 3]);
        let three = h.graph.constant("3", arr0(3.0).into_dyn());
        let sixth = h.graph.constant("1/6", arr0(1.0 / 6.0).into_dyn());
        let x = h.push(Softmax, &[h.x]);
        let t = h.push(Add { clamp: None }, &[x, three]);
        let t = h.push(Clamp { min: 0.0, max: 6.0 }, &[t]);
        let t = h.push(Mul { clamp: None }, &[x, t]);
        let y = h.push(Mul { clamp: None }, &[t, sixth]);
        let (graph, names) = h.check(y);
        assert_eq!(names, ["Softmax", "Table"]);
        assert_eq!(graph.nodes[1].op, Table { function: Function::HardSwish }.into());
    }

    #[test]
    fn a_value_that_others_read_ends_the_chain() {
        let mut h = Harness::new(&[2, 3]);
        let t = h.push(Table { function: Function::Tanh }, &[h.x]);
        let s = h.push(Softmax, &[t]);
        let u = h.push(Table { function: Function::Exp }, &[t]);
        let y = h.push(Add { clamp: None }, &[u, s]);
        assert_eq!(h.check(y).1, ["Table", "Softmax", "Table", "Add"]);
    }
}
