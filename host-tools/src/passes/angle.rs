//! Angles from quotients.

use std::f32::consts::PI;

use anyhow::Result;
use teff::kernels::choice::Relation;

use super::sweep;
use crate::ir::{Graph, ValueId, scalar};
use crate::ops::{Op, angle::Angle, function::Function, table::Table};

/// Takes the angle of a point from its coordinates, instead of the arc tangent of a quotient that has no bound.
pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    sweep(graph, |graph, at| {
        let Some((full, operands)) = quotient(graph, at).or_else(|| quadrants(graph, at)) else { return Ok(false) };
        (graph.nodes[at].op, graph.nodes[at].inputs) = (Angle { full }.into(), operands);
        Ok(true)
    })
}

/// `atan(a / b)`.
fn quotient(graph: &Graph, at: usize) -> Option<(bool, Vec<ValueId>)> {
    let node = &graph.nodes[at];
    let Op::Table(Table { function: Function::Atan }) = &node.op else { return None };
    let div = &graph.nodes[graph.producer(node.inputs[0])?];
    matches!(div.op, Op::Div(_)).then(|| (false, div.inputs.clone()))
}

/// `where(x < 0, where(0 < y, atan(y/x) + π, atan(y/x) − π), atan(y/x))`, as exporters spell `atan2(y, x)`.
fn quadrants(graph: &Graph, at: usize) -> Option<(bool, Vec<ValueId>)> {
    let select = |value: ValueId| -> Option<[ValueId; 3]> {
        let node = &graph.nodes[graph.producer(value)?];
        matches!(node.op, Op::Select(_)).then(|| [node.inputs[0], node.inputs[1], node.inputs[2]])
    };
    let less = |value: ValueId| -> Option<[ValueId; 2]> {
        let node = &graph.nodes[graph.producer(value)?];
        let Op::Compare(compare) = &node.op else { return None };
        (compare.relation == Relation::Less).then(|| [node.inputs[0], node.inputs[1]])
    };
    let zero = |value: ValueId| scalar::uniform(graph, value) == Some(0.0);
    let [left, turned, angle] = select(graph.nodes[at].outputs[0])?;
    let node = &graph.nodes[graph.producer(angle)?];
    let (Op::Angle(Angle { full: false }), &[y, x]) = (&node.op, node.inputs.as_slice()) else { return None };
    let [above, plus, minus] = select(turned)?;
    let ([a, b], [c, d]) = (less(left)?, less(above)?);
    let conditions = a == x && zero(b) && zero(c) && d == y;
    let turns = offset(graph, plus, angle)? == PI && offset(graph, minus, angle)? == -PI;
    (conditions && turns).then(|| (true, vec![y, x]))
}

/// The number that is added to `angle` to make `value`.
fn offset(graph: &Graph, value: ValueId, angle: ValueId) -> Option<f32> {
    let node = &graph.nodes[graph.producer(value)?];
    match (&node.op, node.inputs.as_slice()) {
        (Op::Add(op), &[a, b]) if op.clamp.is_none() && a == angle => scalar::uniform(graph, b),
        (Op::Add(op), &[a, b]) if op.clamp.is_none() && b == angle => scalar::uniform(graph, a),
        (Op::Sub(op), &[a, b]) if op.clamp.is_none() && a == angle => scalar::uniform(graph, b).map(|c| -c),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{add::Add, compare::Compare, div::Div, select::Select};
    use crate::passes::testing::Harness;
    use ndarray::arr0;

    #[test]
    fn an_exported_atan2_is_one_operator() {
        let mut h = Harness::new(&[4, 3]);
        let (w, v) = (h.weight(&[4, 3]), h.weight(&[4, 3]));
        let x = h.push(Add { clamp: None }, &[h.x, w]);
        let y = h.push(Add { clamp: None }, &[h.x, v]);
        let [zero, pi, minus_pi] = [0.0, PI, -PI].map(|number| h.graph.constant("number", arr0(number).into_dyn()));
        let quotient = h.push(Div, &[y, x]);
        let angle = h.push(Table { function: Function::Atan }, &[quotient]);
        let (plus, minus) =
            (h.push(Add { clamp: None }, &[angle, pi]), h.push(Add { clamp: None }, &[angle, minus_pi]));
        let (left, above) = (Compare { relation: Relation::Less }, Compare { relation: Relation::Less });
        let (left, above) = (h.push(left, &[x, zero]), h.push(above, &[zero, y]));
        let turned = h.push(Select, &[above, plus, minus]);
        let z = h.push(Select, &[left, turned, angle]);
        assert_eq!(h.check(z).1, ["Add", "Add", "Angle"]);
    }
}
