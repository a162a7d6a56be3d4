//! Chains of elementwise operators over one tensor, read as one function of one variable.

use teff::kernels::choice::{Connective, Relation};

use super::{Graph, Kind, ValueId};
use crate::ops::{
    Op,
    clamp::Clamp,
    expr::{Binary, Expr},
};

/// Longest chain that is followed.
const MAX_DEPTH: usize = 24;

/// The one number that all elements of a constant are, if they are.
pub fn uniform(graph: &Graph, id: ValueId) -> Option<f32> {
    let data = graph.data(id)?;
    let first = *data.iter().next()?;
    data.iter().all(|&v| v == first).then_some(first)
}

/// `value` as a function of `root`, element by element, and the nodes that compute it.
pub fn trace(graph: &Graph, value: ValueId, root: ValueId) -> Option<(Expr, Vec<usize>)> {
    if graph.value(root).kind != Kind::Real {
        return None;
    }
    let mut nodes = Vec::new();
    let expr = follow(graph, value, root, &mut nodes, MAX_DEPTH)?;
    nodes.sort_unstable();
    nodes.dedup();
    Some((expr, nodes))
}

/// The activations from which `value` may be computed element by element, nearest first; `value` is the first.
pub fn roots(graph: &Graph, value: ValueId) -> Vec<ValueId> {
    let mut found = vec![value];
    let mut at = 0;
    while at < found.len() && found.len() <= MAX_DEPTH {
        if let Some(node) = graph.producer(found[at]).filter(|&n| is_elementwise(&graph.nodes[n].op)) {
            for &input in &graph.nodes[node].inputs {
                if graph.data(input).is_none() && !found.contains(&input) {
                    found.push(input);
                }
            }
        }
        at += 1;
    }
    found
}

fn is_elementwise(op: &Op) -> bool {
    matches!(
        op,
        Op::Table(_)
            | Op::Clamp(_)
            | Op::Add(_)
            | Op::Sub(_)
            | Op::Mul(_)
            | Op::Div(_)
            | Op::Minimum(_)
            | Op::Maximum(_)
            | Op::Compare(_)
            | Op::Logic(_)
            | Op::Select(_)
            | Op::FromIndex(_)
    )
}

fn follow(graph: &Graph, value: ValueId, root: ValueId, nodes: &mut Vec<usize>, depth: usize) -> Option<Expr> {
    if value == root {
        return Some(Expr::X);
    }
    if let Some(c) = uniform(graph, value) {
        // A constant of more axes or elements would widen the result.
        let (shape, whole) = (&graph.value(value).shape, &graph.value(root).shape);
        let fits =
            shape.len() <= whole.len() && shape.iter().rev().zip(whole.iter().rev()).all(|(&c, &w)| c == 1 || c == w);
        return fits.then_some(Expr::Const(c));
    }
    if depth == 0 || graph.value(value).shape != graph.value(root).shape {
        return None;
    }
    let at = graph.producer(value)?;
    let node = &graph.nodes[at];
    let clamp = |clamp: Option<Clamp>, e: Expr| match clamp {
        Some(c) => e.clamp(c.min, c.max),
        None => e,
    };
    let operand = |i: usize, nodes: &mut Vec<usize>| follow(graph, node.inputs[i], root, nodes, depth - 1);
    let expr = match &node.op {
        Op::Table(table) => Expr::Apply(table.function.clone(), Box::new(operand(0, nodes)?)),
        Op::Clamp(c) => clamp(Some(*c), operand(0, nodes)?),
        Op::Add(op) => clamp(op.clamp, binary(Binary::Add, operand(0, nodes)?, operand(1, nodes)?)),
        Op::Sub(op) => clamp(op.clamp, binary(Binary::Sub, operand(0, nodes)?, operand(1, nodes)?)),
        Op::Mul(op) => clamp(op.clamp, binary(Binary::Mul, operand(0, nodes)?, operand(1, nodes)?)),
        Op::Div(_) => binary(Binary::Div, operand(0, nodes)?, operand(1, nodes)?),
        Op::Minimum(_) => binary(Binary::Min, operand(0, nodes)?, operand(1, nodes)?),
        Op::Maximum(_) => binary(Binary::Max, operand(0, nodes)?, operand(1, nodes)?),
        Op::Compare(op) => {
            let relation = match op.relation {
                Relation::Less => Binary::Less,
                Relation::LessEqual => Binary::LessEqual,
                Relation::Equal => Binary::Equal,
                Relation::NotEqual => Binary::NotEqual,
            };
            binary(relation, operand(0, nodes)?, operand(1, nodes)?)
        }
        Op::Logic(op) => {
            let connective = match op.connective {
                Connective::And => Binary::And,
                Connective::Or => Binary::Or,
                Connective::Xor => Binary::NotEqual,
            };
            binary(connective, operand(0, nodes)?, operand(1, nodes)?)
        }
        Op::Select(_) => {
            let [test, a, b] = [operand(0, nodes)?, operand(1, nodes)?, operand(2, nodes)?];
            Expr::Select(Box::new(test), Box::new(a), Box::new(b))
        }
        Op::FromIndex(_) => operand(0, nodes)?,
        _ => return None,
    };
    nodes.push(at);
    Some(expr)
}

fn binary(op: Binary, a: Expr, b: Expr) -> Expr {
    Expr::Binary(op, Box::new(a), Box::new(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{add::Add, function::Function, mul::Mul, table::Table};
    use ndarray::{ArrayD, IxDyn, arr0};

    #[test]
    fn a_chain_becomes_an_expression_of_its_root() {
        let mut g = Graph::default();
        let x = g.activation("x", &[2, 3]);
        let one = g.constant("one", arr0(1.0).into_dyn());
        let table = Table { function: Function::Sigmoid };
        let s = g.push("s", table.into(), &[x]).unwrap();
        let t = g.push("t", Add { clamp: None }.into(), &[s, one]).unwrap();
        let y = g.push("y", Mul { clamp: None }.into(), &[t, x]).unwrap();
        let (expr, nodes) = trace(&g, y, x).unwrap();
        assert_eq!((expr.eval(0.0), expr.eval(2.0)), (0.0, 2.0 * (1.0 + 1.0 / (1.0 + (-2f64).exp()))));
        assert_eq!(nodes, [0, 1, 2]);
        assert_eq!(roots(&g, y), [y, t, x, s]);
        assert!(trace(&g, y, s).is_none());
    }

    #[test]
    fn constants_that_differ_by_element_are_not_scalar() {
        let mut g = Graph::default();
        let x = g.activation("x", &[2]);
        let c = g.constant("c", ArrayD::from_shape_vec(IxDyn(&[2]), vec![1.0, 2.0]).unwrap());
        let y = g.push("y", Add { clamp: None }.into(), &[x, c]).unwrap();
        assert!(trace(&g, y, x).is_none());
    }
}
