//! A scale and zero point for every activation.

use std::collections::HashMap;

use anyhow::{Context, Result};
use teff::format::DataType;

use super::lower::constant_params;
use super::params::QuantParams;
use super::widths::{Widths, is_real_activation, node_type};
use crate::calibrate::Range;
use crate::ir::{Graph, Kind, Node, Value, ValueId};
use crate::ops::requantize::Requantize;
use crate::ops::{Op, clamp::Clamp};

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
    Fixed(Span),
    /// This one, which fits all values that the operator gives.
    Natural(Span),
}

/// What an operator's results fill by definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// `[0, 1)`: [`QuantParams::unit`].
    Unit,
    /// `[-1, 1)`: [`QuantParams::signed_unit`].
    SignedUnit,
}

impl Span {
    fn params(self, data_type: DataType) -> QuantParams {
        match self {
            Self::Unit => QuantParams::unit(data_type),
            Self::SignedUnit => QuantParams::signed_unit(data_type),
        }
    }
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

/// The ranges, those of what a node computes in int16 half as wide again: there are bits to spare, and values a little beyond
/// those of the calibration set, which saturated do harm, are common. What an operator bounds has no more than its bounds.
fn with_headroom(graph: &Graph, types: &[DataType], mut ranges: Vec<Option<Range>>) -> Vec<Option<Range>> {
    for node in &graph.nodes {
        let bounds = match &node.op {
            Op::Clamp(bounds) => *bounds,
            _ => Clamp { min: f32::NEG_INFINITY, max: f32::INFINITY },
        };
        for y in node.outputs.iter().filter(|y| types[y.0] == DataType::I16) {
            if let Some(range) = &mut ranges[y.0] {
                *range = range.with_headroom();
                *range = Range { min: range.min.max(bounds.min), max: range.max.min(bounds.max) };
            }
        }
    }
    ranges
}

/// Assigns quantization to every activation, of the type that `widths` gives it, and inserts [`Requantize`] nodes where an
/// operator wants its inputs alike and their producers cannot deliver that, where it cannot deliver what the model
/// prescribes, and where types meet.
///
/// # Errors
/// If an activation has no range.
pub fn assign(graph: &mut Graph, ranges: &[Option<Range>], widths: &Widths) -> Result<Vec<Option<QuantParams>>> {
    let types = &widths.of_values(graph);
    let ranges = &with_headroom(graph, types, with_states(graph, ranges));
    let own = |(id, value): (usize, &Value)| match value.kind {
        Kind::Real => value.pin.or_else(|| ranges[id].map(|r| QuantParams::over(types[id], r.min, r.max))),
        kind => Some(QuantParams::of_kind(kind)),
    };
    let mut quant: Vec<Option<QuantParams>> = graph.values.iter().enumerate().map(own).collect();
    let mut rules = Vec::new();
    for node in &graph.nodes {
        let (x, y) = (node.inputs[0], node.outputs[0]);
        if graph.value(y).kind != Kind::Real {
            rules.push(Rule::Calibrated);
            continue;
        }
        let rule = match node.op.rule() {
            Rule::SameIfNear => same_if_near(graph, ranges, types, &quant, x, y),
            Rule::Natural(span) => {
                quant[y.0] = graph.value(y).pin.or(Some(span.params(types[y.0])));
                Rule::Natural(span)
            }
            Rule::SharedWithInputs if quant[y.0].is_none() => {
                quant[y.0] = covering(graph, &quant, &node.inputs, types[y.0]);
                Rule::SharedWithInputs
            }
            rule => rule,
        };
        match rule {
            Rule::Fixed(span) => quant[y.0] = Some(span.params(types[y.0])),
            Rule::SameAsInput => quant[y.0] = Some(get(&quant, graph, x, types[y.0])?),
            _ => {}
        }
        rules.push(rule);
    }
    // Inputs that must be alike take the output's quantization where only this node reads them.
    for i in (0..graph.nodes.len()).rev().filter(|&i| rules[i] == Rule::SharedWithInputs) {
        let y = graph.nodes[i].outputs[0];
        let wanted = get(&quant, graph, y, types[y.0])?;
        for input in graph.nodes[i].inputs.clone().into_iter().filter(|&v| graph.value(v).kind == Kind::Real) {
            adopt(graph, &rules, &mut quant, input, wanted);
        }
    }
    for (node, rule) in graph.nodes.iter().zip(&rules) {
        let y = node.outputs[0];
        if graph.value(y).kind == Kind::Real {
            quant[y.0] = Some(match (graph.value(y).pin, rule) {
                (Some(pin), _) => pin,
                (None, Rule::SameAsInput) => get(&quant, graph, node.inputs[0], types[y.0])?,
                (None, _) => get(&quant, graph, y, types[y.0])?,
            });
        }
    }
    Conversions { ranges, rules: &rules, types, quant: &mut quant, made: HashMap::new() }.insert(graph)?;
    Ok(quant)
}

/// The quantization of `id`; a constant is quantized as its reader, which computes in `data_type`, wants it.
fn get(quant: &[Option<QuantParams>], graph: &Graph, id: ValueId, data_type: DataType) -> Result<QuantParams> {
    let known = constant_params(data_type, graph.value(id)).or(quant[id.0]);
    known.with_context(|| format!("{}: no calibrated range", graph.value(id).name))
}

/// What [`Rule::SameIfNear`] comes to.
fn same_if_near(
    graph: &Graph,
    ranges: &[Option<Range>],
    types: &[DataType],
    quant: &[Option<QuantParams>],
    x: ValueId,
    y: ValueId,
) -> Rule {
    if types[x.0] != types[y.0] {
        return Rule::Calibrated;
    }
    if let Some(pin) = graph.value(y).pin {
        return if quant[x.0] == Some(pin) { Rule::SameAsInput } else { Rule::Calibrated };
    }
    let Some(range) = ranges[y.0] else { return Rule::SameAsInput };
    let of_input = graph.value(x).pin.map(|pin| pin.range()).or_else(|| ranges[x.0].map(|r| (r.min, r.max)));
    // How much of the number line the type must cover.
    let width = |(min, max): (f32, f32)| match types[y.0] {
        DataType::I16 => min.abs().max(max.abs()),
        _ => max.max(0.0) - min.min(0.0),
    };
    if width((range.min, range.max)) >= NEAR * of_input.map_or(0.0, width) {
        Rule::SameAsInput
    } else {
        Rule::Calibrated
    }
}

/// The quantization of this type that holds the values of all operands: theirs, if they are alike.
fn covering(
    graph: &Graph,
    quant: &[Option<QuantParams>],
    operands: &[ValueId],
    data_type: DataType,
) -> Option<QuantParams> {
    let operands = operands.iter().filter(|i| is_real_activation(graph, **i));
    let operands: Vec<QuantParams> = operands.map(|i| quant[i.0]).collect::<Option<_>>()?;
    let first = *operands.first()?;
    if first.data_type == data_type && operands.iter().all(|&q| q == first) {
        return Some(first);
    }
    let ends = operands.iter().map(QuantParams::range);
    let (min, max) = ends.fold((0.0_f32, 0.0_f32), |(min, max), (low, high)| (min.min(low), max.max(high)));
    Some(QuantParams::over(data_type, min, max))
}

/// Gives `id` the quantization `wanted`, and so on towards its producers, if nothing else depends on it.
fn adopt(graph: &Graph, rules: &[Rule], quant: &mut [Option<QuantParams>], id: ValueId, wanted: QuantParams) -> bool {
    let (Some(producer), Some(_)) = (graph.producer(id), graph.sole_consumer(id)) else { return false };
    let other_type = quant[id.0].is_some_and(|own| own.data_type != wanted.data_type);
    if graph.value(id).pin.is_some() || other_type {
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

/// Inserts changes of quantization: before nodes that want their inputs alike, or all in one type, and behind those that
/// compute in another quantization than that of their output.
struct Conversions<'a> {
    ranges: &'a [Option<Range>],
    rules: &'a [Rule],
    types: &'a [DataType],
    quant: &'a mut Vec<Option<QuantParams>>,
    /// The conversions of a value so far: one serves all its readers.
    made: HashMap<ValueId, Vec<ValueId>>,
}

impl Conversions<'_> {
    fn insert(&mut self, graph: &mut Graph) -> Result<()> {
        let old = std::mem::take(&mut graph.nodes);
        for (mut node, &rule) in old.into_iter().zip(self.rules) {
            let own = node_type(graph, &node, self.types);
            // Operands that must be like the result are so in the type in which the node computes.
            let shared = match rule {
                Rule::SharedWithInputs => Some(self.computed(graph, node.outputs[0], own)?),
                _ => None,
            };
            for input in &mut node.inputs {
                if is_real_activation(graph, *input) && !self.of_table(graph, &node.op, *input) {
                    let wanted = shared.map_or_else(|| self.computed(graph, *input, own), Ok)?;
                    *input = self.converted(graph, *input, wanted);
                }
            }
            let mut conversions = Vec::new();
            for (slot, y) in node.outputs.iter_mut().enumerate() {
                if graph.value(*y).kind != Kind::Real || self.of_table(graph, &node.op, *y) {
                    continue;
                }
                let computed = match rule {
                    Rule::SameAsInput if slot == 0 => get(self.quant, graph, node.inputs[0], own)?,
                    Rule::Fixed(span) if slot == 0 => span.params(own),
                    _ => self.computed(graph, *y, own)?,
                };
                if self.quant[y.0] != Some(computed) {
                    let value = graph.value(*y);
                    let (name, shape) = (format!("{}/as computed", value.name), value.shape.clone());
                    let inner = graph.activation(name, &shape);
                    self.quant.push(Some(computed));
                    conversions.push(requantize(format!("{}/requantized", node.name), inner, *y));
                    *y = inner;
                }
            }
            graph.nodes.push(node);
            graph.nodes.extend(conversions);
        }
        Ok(())
    }

    /// Whether `id` is int32 and the operator a table, which reads and gives that beside int16.
    fn of_table(&self, graph: &Graph, op: &Op, id: ValueId) -> bool {
        matches!(op, Op::Table(_)) && is_real_activation(graph, id) && self.types.get(id.0) == Some(&DataType::I32)
    }

    /// The quantization in which a node that computes in `data_type` has `id`: its own, if it is of that type. What is int8
    /// is widened, which is exact; what is wider is narrowed over the calibrated range.
    fn computed(&self, graph: &Graph, id: ValueId, data_type: DataType) -> Result<QuantParams> {
        let own = get(self.quant, graph, id, data_type)?;
        if own.data_type == data_type {
            return Ok(own);
        }
        match (own.data_type, data_type) {
            (DataType::I8, DataType::I16) => return Ok(own.widened()),
            (DataType::I16, DataType::I32) => return Ok(own.widened_to_32()),
            (DataType::I8, DataType::I32) => return Ok(own.widened().widened_to_32()),
            _ => {}
        }
        let range = self.ranges.get(id.0).copied().flatten();
        let (min, max) = range.map_or_else(|| own.range(), |r| (r.min, r.max));
        Ok(QuantParams::over(data_type, min, max))
    }

    /// `id` quantized as `wanted`: itself, or the output of a conversion.
    fn converted(&mut self, graph: &mut Graph, id: ValueId, wanted: QuantParams) -> ValueId {
        if self.quant[id.0] == Some(wanted) {
            return id;
        }
        let made = self.made.entry(id).or_default();
        if let Some(&known) = made.iter().find(|made| self.quant[made.0] == Some(wanted)) {
            return known;
        }
        let value = graph.value(id);
        let nth = if made.is_empty() { String::new() } else { (made.len() + 1).to_string() };
        let (name, shape) = (format!("{}/requantized{nth}", value.name), value.shape.clone());
        let output = graph.activation(name.clone(), &shape);
        self.quant.push(Some(wanted));
        made.push(output);
        graph.nodes.push(requantize(name, id, output));
        output
    }
}

fn requantize(name: String, x: ValueId, y: ValueId) -> Node {
    Node { name, op: Op::Requantize(Requantize { to: None }), inputs: vec![x], outputs: vec![y] }
}
