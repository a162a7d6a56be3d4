//! Brings what int32 activations are to the form in which the runtime has them: see `quantize::wide`.

use anyhow::Result;

use super::sweep;
use crate::ir::{Graph, ValueId};
use crate::ops::{Op, clamp::Clamp, expr::Expr, function::Function, reduce_sum::ReduceSum, table::Table};
use crate::quantize::wide;

/// Bounds move behind the sums of powers into the functions that read them, and sums of squares that such a function reads
/// become squares and their sum.
///
/// # Errors
/// If a rewrite does not fit the graph: a bug.
pub fn run(graph: &mut Graph) -> Result<()> {
    sweep(graph, squares)?;
    sweep(graph, bounds)?;
    Ok(())
}

/// All tables that read `id`, moved or not; `None` if anything else does.
fn readers(graph: &Graph, id: ValueId) -> Option<Vec<usize>> {
    if graph.is_output(id) {
        return None;
    }
    let mut found = Vec::new();
    for at in graph.consumers(id) {
        match &graph.nodes[at].op {
            Op::Table(_) => found.push(at),
            Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) => {
                found.extend(readers(graph, graph.nodes[at].outputs[0])?)
            }
            _ => return None,
        }
    }
    Some(found)
}

/// The same, if each of them is a logarithm, a root or the like.
fn compressors(graph: &Graph, id: ValueId) -> Option<Vec<usize>> {
    readers(graph, id).filter(|all| !all.is_empty() && all.iter().all(|&at| wide::is_compressor(&graph.nodes[at].op)))
}

/// Whether a logarithm, a root or the like reads `id`, or what sums or moves it.
fn leads_on(graph: &Graph, id: ValueId) -> bool {
    graph.consumers(id).into_iter().any(|at| {
        let op = &graph.nodes[at].op;
        let sums =
            matches!(op, Op::Add(_) | Op::FullyConnected(_) | Op::ReduceSum(_) | Op::ReduceMean(_) | Op::AvgPool2d(_));
        wide::is_compressor(op) || ((sums || wide::moves(op)) && leads_on(graph, graph.nodes[at].outputs[0]))
    })
}

fn squares(graph: &mut Graph, at: usize) -> Result<bool> {
    let node = &graph.nodes[at];
    let Op::ReduceSquare(op) = &node.op else { return Ok(false) };
    let (x, y) = (node.inputs[0], node.outputs[0]);
    let count = graph.value(x).len() / graph.value(y).len().max(1);
    if op.root || count > wide::MAX_SUMMED || !leads_on(graph, y) {
        return Ok(false);
    }
    let (axes, name) = (op.axes.clone(), format!("{}.squares", node.name));
    let squares = graph.insert(at, &name, Table { function: Function::Square }.into(), &[x])?;
    (graph.nodes[at + 1].op, graph.nodes[at + 1].inputs) = (ReduceSum { axes }.into(), vec![squares]);
    Ok(true)
}

fn bounds(graph: &mut Graph, at: usize) -> Result<bool> {
    let y = graph.nodes[at].outputs[0];
    if graph.value(y).pin.is_some() {
        return Ok(false);
    }
    let Some(clamp) = bounds_of(&mut graph.nodes[at].op).copied() else { return Ok(false) };
    let Some(tables) = compressors(graph, y) else { return Ok(false) };
    for table in tables {
        if let Op::Table(table) = &mut graph.nodes[table].op {
            let bounded = Expr::X.clamp(clamp.min, clamp.max);
            let outer = match &table.function {
                Function::Composite(expr) => expr.of(&bounded),
                function => Expr::Apply(function.clone(), Box::new(bounded)),
            };
            table.function = Function::Composite(Box::new(outer));
        }
    }
    match &mut graph.nodes[at].op {
        Op::Add(op) => op.clamp = None,
        Op::Sub(op) => op.clamp = None,
        Op::FullyConnected(op) => op.clamp = None,
        _ => {}
    }
    Ok(true)
}

fn bounds_of(op: &mut Op) -> Option<&Clamp> {
    match op {
        Op::Add(op) => op.clamp.as_ref(),
        Op::Sub(op) => op.clamp.as_ref(),
        Op::FullyConnected(op) => op.clamp.as_ref(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{fully_connected::FullyConnected, reduce_square::ReduceSquare};
    use crate::passes::testing::Harness;

    #[test]
    fn a_filter_bank_of_squares_becomes_wide() {
        let mut h = Harness::new(&[3, 2, 4]);
        let power = h.push(ReduceSquare { axes: vec![1], root: false }, &[h.x]);
        let w = h.weight(&[5, 4]);
        let mel = h.push(FullyConnected { clamp: Some(Clamp { min: 0.01, max: f32::INFINITY }) }, &[power, w]);
        let log = h.push(Table { function: Function::Ln }, &[mel]);
        let (mut graph, _) = h.check(log);
        run(&mut graph).unwrap();
        let names: Vec<&str> = graph.nodes.iter().map(|n| n.op.name()).collect();
        assert_eq!(names, ["Table", "ReduceSum", "FullyConnected", "Table"]);
        let Op::Table(table) = &graph.nodes[3].op else { panic!("{names:?}") };
        assert_eq!(table.function.apply(-1.0), 0.01_f32.ln());
        assert_eq!(bounds_of(&mut graph.nodes[2].op), None);
    }
}
