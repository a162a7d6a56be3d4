//! Which activations are int32: sums between squares or exponentials and a logarithm or root.
//!
//! The power of a signal of 16 bits has 32, and a logarithm, a root or a reciprocal asks for all of them: a power spectrum, a
//! mel filter bank, the variance of a band, the sum of a kernel's responses. What lies between the two is int32.

use teff::format::DataType;

use super::widths::is_real_activation;
use crate::ir::{Graph, ValueId};
use crate::ops::{Op, expr::Binary, expr::Expr, function::Function, table::Table};

/// Longest way back from a logarithm or root.
const MAX_DEPTH: usize = 32;
/// So many int32 numbers are summed at most: the runtime's bound.
pub(crate) const MAX_SUMMED: usize = 1 << 16;

/// The values that are int32: those between powers and a logarithm or root, where all that has to do with them is int16 by
/// `types`.
pub(crate) fn values(graph: &Graph, types: &[DataType]) -> Vec<ValueId> {
    let mut wide = candidates(graph);
    let mut changed = true;
    while std::mem::take(&mut changed) {
        for node in &graph.nodes {
            let activations = || node.inputs.iter().chain(&node.outputs).filter(|id| is_real_activation(graph, **id));
            if activations().any(|id| wide[id.0]) && activations().any(|id| types[id.0] != DataType::I16) {
                activations().for_each(|id| changed |= std::mem::take(&mut wide[id.0]));
            }
        }
    }
    (0..wide.len()).map(ValueId).filter(|id| wide[id.0]).collect()
}

/// For each value whether it is int32 if all others are int16.
fn candidates(graph: &Graph) -> Vec<bool> {
    let mut wide = vec![false; graph.values.len()];
    for node in graph.nodes.iter().filter(|node| is_compressor(&node.op)) {
        reach(graph, node.inputs[0], MAX_DEPTH, &mut wide);
    }
    // What moves them moves numbers of the same type.
    for node in graph.nodes.iter().filter(|node| moves(&node.op)) {
        wide[node.outputs[0].0] |= wide[node.inputs[0].0];
    }
    let outside = |id: &ValueId| graph.is_output(*id) || graph.value(*id).pin.is_some();
    if (0..wide.len()).map(ValueId).any(|id| wide[id.0] && outside(&id)) {
        wide.fill(false);
    }
    wide
}

/// Marks `id`, and what it is computed from, if squares or exponentials come that way.
fn reach(graph: &Graph, id: ValueId, depth: usize, wide: &mut [bool]) -> bool {
    if wide[id.0] {
        return true;
    }
    let Some(at) = graph.producer(id).filter(|_| depth > 0 && graph.value(id).pin.is_none()) else { return false };
    let node = &graph.nodes[at];
    let found = match &node.op {
        Op::Table(table) => expands(&expression(table)),
        op if is_sum(graph, at) || moves(op) => {
            let operands = node.inputs.iter().filter(|id| is_real_activation(graph, **id));
            // All of them, not as far as the first.
            operands.map(|&id| reach(graph, id, depth - 1, wide)).filter(|&found| found).count() > 0
        }
        _ => false,
    };
    wide[id.0] = found;
    found
}

/// What the runtime sums in int32.
fn is_sum(graph: &Graph, at: usize) -> bool {
    let node = &graph.nodes[at];
    let elements = |id: ValueId| graph.value(id).len();
    match &node.op {
        Op::Add(op) => op.clamp.is_none(),
        Op::Sub(op) => op.clamp.is_none(),
        Op::FullyConnected(op) => op.clamp.is_none(),
        Op::ReduceSum(_) | Op::ReduceMean(_) => {
            elements(node.inputs[0]) / elements(node.outputs[0]).max(1) <= MAX_SUMMED
        }
        Op::AvgPool2d(op) => op.kernel[0] * op.kernel[1] <= MAX_SUMMED,
        _ => false,
    }
}

/// What moves values of any type.
pub(crate) fn moves(op: &Op) -> bool {
    matches!(
        op,
        Op::Reshape(_) | Op::Slice(_) | Op::Transpose(_) | Op::Concat(_) | Op::Expand(_) | Op::ReduceExtreme(_)
    )
}

/// Whether small arguments make a large difference to the result.
pub(crate) fn is_compressor(op: &Op) -> bool {
    matches!(op, Op::Table(table) if compresses(&expression(table)))
}

fn expression(table: &Table) -> Expr {
    match &table.function {
        Function::Composite(expr) => (**expr).clone(),
        function => Expr::Apply(function.clone(), Box::new(Expr::X)),
    }
}

fn compresses(expr: &Expr) -> bool {
    match expr {
        Expr::X | Expr::Const(_) => false,
        Expr::Apply(function, a) => {
            let steep = match function {
                Function::Ln | Function::Sqrt | Function::Rsqrt | Function::Recip => true,
                Function::Pow { exponent } => *exponent < 1.0,
                _ => false,
            };
            (steep && is_straight(a)) || compresses(a)
        }
        Expr::Binary(Binary::Div, _, b) if is_straight(b) && !matches!(**b, Expr::Const(_)) => true,
        Expr::Binary(Binary::Pow, a, b) if is_straight(a) && matches!(**b, Expr::Const(c) if c < 1.0) => true,
        Expr::Binary(_, a, b) => compresses(a) || compresses(b),
        Expr::Select(_, a, b) => compresses(a) || compresses(b),
    }
}

/// Sums and products with numbers, and bounds.
fn is_straight(expr: &Expr) -> bool {
    match expr {
        Expr::X | Expr::Const(_) => true,
        Expr::Binary(Binary::Add | Binary::Sub | Binary::Min | Binary::Max, a, b) => is_straight(a) && is_straight(b),
        Expr::Binary(Binary::Mul | Binary::Div, a, b) => is_straight(a) && matches!(**b, Expr::Const(_)),
        _ => false,
    }
}

/// Whether large arguments make results so large that small ones drown in int16.
fn expands(expr: &Expr) -> bool {
    match expr {
        Expr::X | Expr::Const(_) => false,
        Expr::Apply(function, _) => match function {
            Function::Exp | Function::Square | Function::Sinh | Function::Cosh => true,
            Function::Pow { exponent } => *exponent > 1.0,
            _ => false,
        },
        Expr::Binary(Binary::Mul, a, b) => {
            let constant = |e: &Expr| matches!(e, Expr::Const(_));
            (!constant(a) && !constant(b)) || expands(a) || expands(b)
        }
        Expr::Binary(Binary::Pow, _, b) => matches!(**b, Expr::Const(c) if c > 1.0),
        Expr::Binary(Binary::Add | Binary::Sub | Binary::Min | Binary::Max | Binary::Div, a, b) => {
            expands(a) || expands(b)
        }
        Expr::Binary(..) | Expr::Select(..) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{fully_connected::FullyConnected, reduce_sum::ReduceSum};
    use crate::passes::testing::Harness;

    fn table(function: Function) -> Table {
        Table { function }
    }

    #[test]
    fn what_lies_between_squares_and_a_logarithm_is_wide() {
        let mut h = Harness::new(&[3, 4]);
        let square = h.push(table(Function::Square), &[h.x]);
        let w = h.weight(&[5, 4]);
        let mel = h.push(FullyConnected { clamp: None }, &[square, w]);
        let log = h.push(
            table(Function::Composite(Box::new(Expr::Apply(Function::Ln, Box::new(Expr::X.plus(1e-6)))))),
            &[mel],
        );
        let y = h.push(ReduceSum { axes: vec![1] }, &[log]);
        let mut types = vec![DataType::I16; h.graph.values.len()];
        assert_eq!(values(&h.graph, &types), [square, mel]);
        // With an int8 value in between, none of them is.
        types[mel.0] = DataType::I8;
        assert!(values(&h.graph, &types).is_empty());
        assert_ne!(y, mel);
    }

    #[test]
    fn a_root_of_anything_else_stays_narrow() {
        let mut h = Harness::new(&[3, 4]);
        let abs = h.push(table(Function::Abs), &[h.x]);
        let sum = h.push(ReduceSum { axes: vec![1] }, &[abs]);
        h.push(table(Function::Sqrt), &[sum]);
        assert!(!candidates(&h.graph).contains(&true));
    }
}
