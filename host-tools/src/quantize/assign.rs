//! A scale and zero point for every activation.

use anyhow::{Context, Result};

use super::lower::constant_params;
use super::params::QuantParams;
use crate::calibrate::Range;
use crate::ir::{Graph, Kind, Node, Value, ValueId};
use crate::ops::Op;
use crate::ops::requantize::Requantize;

/// Where the quantization of an operator's output comes from, unless the model [prescribes](crate::ir::Value::pin) it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// From the calibrated range.
    Calibrated,
    /// That of the first input: the operator only moves or selects values.
    SameAsInput,
    /// That of the first input, if the calibrated range is nearly as wide; else from the calibrated range.
    SameIfNear,
    /// From the calibrated range, and every input must have it too.
    SharedWithInputs,
    /// The operator gives this one only.
    Fixed(QuantParams),
    /// This one, which fits all values that the operator gives.
    Natural(QuantParams),
}

/// Output ranges of at least this part of the input's keep the input's quantization under [`Rule::SameIfNear`].
const NEAR: f32 = 0.9;

/// The activations whose quantization follows neither from the model nor from their operator: they need a calibrated
/// range. None in a model that is quantized throughout.
pub fn uncalibrated(graph: &Graph) -> Vec<ValueId> {
    let given = |v: &Value| v.pin.is_some() || v.constant.is_some() || v.kind != Kind::Real;
    let mut known: Vec<bool> = graph.values.iter().map(given).collect();
    let inputs = graph.inputs.iter().chain(graph.states.iter().map(|state| &state.input));
    let mut missing: Vec<ValueId> = inputs.map(|p| p.value).filter(|v| !known[v.0]).collect();
    for node in &graph.nodes {
        let (y, others) = (node.outputs[0], &node.outputs[1..]);
        missing.extend(others.iter().filter(|v| !known[v.0]));
        known[y.0] |= match node.op.rule() {
            Rule::Fixed(_) | Rule::Natural(_) => true,
            Rule::SameAsInput | Rule::SameIfNear => known[node.inputs[0].0],
            Rule::SharedWithInputs => node.inputs.iter().all(|i| known[i.0]),
            Rule::Calibrated => false,
        };
        // What depends on a missing one is not listed again, unless its own rule is a range.
        if !known[y.0] && matches!(node.op.rule(), Rule::Calibrated | Rule::SharedWithInputs) {
            missing.push(y);
        }
    }
    missing
}

/// The ranges, those of outputs widened that must hold an operand's values too ([`super::Lower::covers`]).
fn with_states(graph: &Graph, ranges: &[Option<Range>]) -> Vec<Option<Range>> {
    let mut ranges = ranges.to_vec();
    for node in &graph.nodes {
        let Some(&input) = node.op.covers().and_then(|slot| node.inputs.get(slot)) else { continue };
        let given = match graph.data(input) {
            Some(data) => data.iter().fold((0_f32, 0_f32), |(min, max), &v| (min.min(v), max.max(v))),
            None => ranges[input.0].map_or((0.0, 0.0), |r| (r.min, r.max)),
        };
        if let Some(range) = &mut ranges[node.outputs[0].0] {
            *range = Range { min: range.min.min(given.0), max: range.max.max(given.1) };
        }
    }
    ranges
}

/// Assigns quantization to every activation, and inserts [`Requantize`] nodes where an operator wants its inputs
/// alike and their producers cannot deliver that, and where it cannot deliver what the model prescribes.
///
/// # Errors
/// If an activation has no range.
pub fn assign(graph: &mut Graph, ranges: &[Option<Range>]) -> Result<Vec<Option<QuantParams>>> {
    let ranges = &with_states(graph, ranges);
    let own = |(value, range): (&Value, &Option<Range>)| {
        value.pin.or_else(|| range.map(|r| QuantParams::from_range(r.min, r.max)))
    };
    let mut quant: Vec<Option<QuantParams>> = graph.values.iter().zip(ranges).map(own).collect();
    let mut rules = Vec::new();
    for node in &graph.nodes {
        let (x, y) = (node.inputs[0], node.outputs[0]);
        if graph.value(y).kind != Kind::Real {
            quant[y.0] = None;
            rules.push(Rule::Calibrated);
            continue;
        }
        let rule = match node.op.rule() {
            Rule::SameIfNear => same_if_near(graph, ranges, &quant, x, y),
            Rule::Natural(natural) => {
                quant[y.0] = graph.value(y).pin.or(Some(natural));
                Rule::Natural(natural)
            }
            Rule::SharedWithInputs if quant[y.0].is_none() => {
                quant[y.0] = covering(graph, &quant, &node.inputs);
                Rule::SharedWithInputs
            }
            rule => rule,
        };
        match rule {
            Rule::Fixed(fixed) => quant[y.0] = Some(fixed),
            Rule::SameAsInput => quant[y.0] = Some(get(&quant, graph, x)?),
            _ => {}
        }
        rules.push(rule);
    }
    // Inputs that must be alike take the output's quantization where only this node reads them.
    for i in (0..graph.nodes.len()).rev().filter(|&i| rules[i] == Rule::SharedWithInputs) {
        let wanted = get(&quant, graph, graph.nodes[i].outputs[0])?;
        for input in graph.nodes[i].inputs.clone().into_iter().filter(|&v| graph.value(v).kind == Kind::Real) {
            adopt(graph, &rules, &mut quant, input, wanted);
        }
    }
    // What an operator delivers, where the model prescribes something else.
    let mut delivered = vec![None; graph.nodes.len()];
    for (i, (node, rule)) in graph.nodes.iter().zip(&rules).enumerate() {
        let y = node.outputs[0];
        if graph.value(y).kind != Kind::Real {
            continue;
        }
        let own = match rule {
            Rule::SameAsInput => get(&quant, graph, node.inputs[0])?,
            Rule::Fixed(fixed) => *fixed,
            _ => get(&quant, graph, y)?,
        };
        let pin = graph.value(y).pin.unwrap_or(own);
        delivered[i] = (own != pin).then_some(own);
        quant[y.0] = Some(pin);
    }
    insert_requantize(graph, &rules, &delivered, &mut quant);
    Ok(quant)
}

fn get(quant: &[Option<QuantParams>], graph: &Graph, id: ValueId) -> Result<QuantParams> {
    let known = constant_params(graph.value(id)).or(quant[id.0]);
    known.with_context(|| format!("{}: no calibrated range", graph.value(id).name))
}

/// What [`Rule::SameIfNear`] comes to.
fn same_if_near(
    graph: &Graph,
    ranges: &[Option<Range>],
    quant: &[Option<QuantParams>],
    x: ValueId,
    y: ValueId,
) -> Rule {
    if let Some(pin) = graph.value(y).pin {
        return if quant[x.0] == Some(pin) { Rule::SameAsInput } else { Rule::Calibrated };
    }
    let Some(range) = ranges[y.0] else { return Rule::SameAsInput };
    let of_input = graph.value(x).pin.map(|pin| pin.range()).or_else(|| ranges[x.0].map(|r| (r.min, r.max)));
    let width = |(min, max): (f32, f32)| max.max(0.0) - min.min(0.0);
    if width((range.min, range.max)) >= NEAR * of_input.map_or(0.0, width) {
        Rule::SameAsInput
    } else {
        Rule::Calibrated
    }
}

/// The quantization that holds the values of all operands: theirs, if they are alike.
fn covering(graph: &Graph, quant: &[Option<QuantParams>], operands: &[ValueId]) -> Option<QuantParams> {
    let is_real = |i: &&ValueId| graph.data(**i).is_none() && graph.value(**i).kind == Kind::Real;
    let operands = operands.iter().filter(is_real);
    let operands: Vec<QuantParams> = operands.map(|i| quant[i.0]).collect::<Option<_>>()?;
    let first = *operands.first()?;
    if operands.iter().all(|&q| q == first) {
        return Some(first);
    }
    let ends = operands.iter().map(QuantParams::range);
    let (min, max) = ends.fold((0.0_f32, 0.0_f32), |(min, max), (low, high)| (min.min(low), max.max(high)));
    Some(QuantParams::from_range(min, max))
}

/// Gives `id` the quantization `wanted`, and so on towards its producers, if nothing else depends on it.
fn adopt(graph: &Graph, rules: &[Rule], quant: &mut [Option<QuantParams>], id: ValueId, wanted: QuantParams) -> bool {
    let (Some(producer), Some(_)) = (graph.producer(id), graph.sole_consumer(id)) else { return false };
    if graph.value(id).pin.is_some() {
        return false;
    }
    let free = match rules[producer] {
        Rule::Calibrated | Rule::SharedWithInputs => true,
        Rule::SameAsInput => adopt(graph, rules, quant, graph.nodes[producer].inputs[0], wanted),
        Rule::Fixed(_) | Rule::Natural(_) | Rule::SameIfNear => false,
    };
    if free {
        quant[id.0] = Some(wanted);
    }
    free
}

/// Inserts changes of quantization: before nodes that want their inputs alike, and behind those that deliver another
/// quantization than the model prescribes.
fn insert_requantize(
    graph: &mut Graph,
    rules: &[Rule],
    delivered: &[Option<QuantParams>],
    quant: &mut Vec<Option<QuantParams>>,
) {
    let old = std::mem::take(&mut graph.nodes);
    let requantize = |name: String, x: ValueId, y: ValueId| {
        let op = Op::Requantize(Requantize { to: None });
        Node { name, op, inputs: vec![x], outputs: vec![y] }
    };
    for ((mut node, rule), delivered) in old.into_iter().zip(rules).zip(delivered) {
        if *rule == Rule::SharedWithInputs {
            let wanted = quant[node.outputs[0].0];
            for input in &mut node.inputs {
                // A constant is quantized as each of its readers wants it, and what is not real is not quantized.
                let is_real = graph.data(*input).is_none() && graph.value(*input).kind == Kind::Real;
                if is_real && quant[input.0] != wanted {
                    let value = graph.value(*input);
                    let (name, shape) = (format!("{}/requantized", value.name), value.shape.clone());
                    let output = graph.activation(name.clone(), &shape);
                    quant.push(wanted);
                    graph.nodes.push(requantize(name, *input, output));
                    *input = output;
                }
            }
        }
        let Some(own) = delivered else {
            graph.nodes.push(node);
            continue;
        };
        let y = node.outputs[0];
        let (name, shape) = (format!("{}/as computed", node.name), graph.value(y).shape.clone());
        let computed = graph.activation(name, &shape);
        quant.push(Some(*own));
        node.outputs = vec![computed];
        let name = format!("{}/requantized", node.name);
        graph.nodes.push(node);
        graph.nodes.push(requantize(name, computed, y));
    }
}
