//! A scale and zero point for every activation.

use anyhow::{Context, Result};

use super::lower::constant_params;
use super::params::QuantParams;
use crate::calibrate::Range;
use crate::ir::{Graph, Kind, Node, ValueId};
use crate::ops::Op;
use crate::ops::requantize::Requantize;

/// Where the quantization of an operator's output comes from.
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
    /// Fixed by the operator.
    Fixed(QuantParams),
}

/// Output ranges of at least this part of the input's keep the input's quantization under [`Rule::SameIfNear`].
const NEAR: f32 = 0.9;

/// Assigns quantization to every activation, and inserts [`Requantize`] nodes where an operator wants its inputs
/// alike and their producers cannot deliver that.
///
/// # Errors
/// If an activation has no range.
pub fn assign(graph: &mut Graph, ranges: &[Option<Range>]) -> Result<Vec<Option<QuantParams>>> {
    let mut quant: Vec<Option<QuantParams>> =
        ranges.iter().map(|r| r.map(|r| QuantParams::from_range(r.min, r.max))).collect();
    let get = |quant: &[Option<QuantParams>], graph: &Graph, id: ValueId| {
        if let Some(data) = graph.data(id) {
            return Ok(constant_params(data));
        }
        quant[id.0].with_context(|| format!("{}: no calibrated range", graph.value(id).name))
    };
    let mut rules = Vec::new();
    for node in &graph.nodes {
        let (x, y) = (node.inputs[0], node.outputs[0]);
        if graph.value(y).kind != Kind::Real {
            quant[y.0] = None;
            rules.push(Rule::Calibrated);
            continue;
        }
        let rule = match node.op.rule() {
            Rule::SameIfNear => {
                let width = |id: ValueId| ranges[id.0].map_or(0.0, |r| r.max.max(0.0) - r.min.min(0.0));
                if width(y) >= NEAR * width(x) { Rule::SameAsInput } else { Rule::Calibrated }
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
    for (node, rule) in graph.nodes.iter().zip(&rules) {
        if *rule == Rule::SameAsInput {
            quant[node.outputs[0].0] = Some(get(&quant, graph, node.inputs[0])?);
        }
    }
    insert_requantize(graph, &rules, &mut quant)?;
    Ok(quant)
}

/// Gives `id` the quantization `wanted`, and so on towards its producers, if nothing else depends on it.
fn adopt(graph: &Graph, rules: &[Rule], quant: &mut [Option<QuantParams>], id: ValueId, wanted: QuantParams) -> bool {
    let (Some(producer), Some(_)) = (graph.producer(id), graph.sole_consumer(id)) else { return false };
    let free = match rules[producer] {
        Rule::Calibrated | Rule::SharedWithInputs => true,
        Rule::SameAsInput => adopt(graph, rules, quant, graph.nodes[producer].inputs[0], wanted),
        Rule::Fixed(_) | Rule::SameIfNear => false,
    };
    if free {
        quant[id.0] = Some(wanted);
    }
    free
}

fn insert_requantize(graph: &mut Graph, rules: &[Rule], quant: &mut Vec<Option<QuantParams>>) -> Result<()> {
    let old = std::mem::take(&mut graph.nodes);
    for (mut node, rule) in old.into_iter().zip(rules) {
        if *rule == Rule::SharedWithInputs {
            let wanted = quant[node.outputs[0].0];
            for input in &mut node.inputs {
                if graph.data(*input).is_some() || graph.value(*input).kind != Kind::Real {
                    // A constant is quantized as each of its readers wants it, and what is not real is not quantized.
                    continue;
                }
                if quant[input.0] != wanted {
                    let value = graph.value(*input);
                    let (name, shape) = (format!("{}/requantized", value.name), value.shape.clone());
                    let output = graph.activation(name.clone(), &shape);
                    quant.push(wanted);
                    graph.nodes.push(Node {
                        name,
                        op: Op::Requantize(Requantize),
                        inputs: vec![*input],
                        outputs: vec![output],
                    });
                    *input = output;
                }
            }
        }
        graph.nodes.push(node);
    }
    Ok(())
}
