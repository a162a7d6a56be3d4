//! The float interpreter of the IR: calibration, per-layer comparison and tests of the passes run on it.

use std::borrow::Cow;

use anyhow::{Context, Result, ensure};
use ndarray::ArrayD;

use super::{Graph, Port, ValueId};

/// Runs the graph on `inputs` (device layout, in the order of `graph.inputs`) and hands every activation, graph
/// inputs among them, to `observe`. Values with a [pin](super::Value::pin) are rounded and saturated as the pin says.
///
/// # Errors
/// If an input has the wrong shape, or an operator refuses its operands.
pub fn eval_observed(
    graph: &Graph,
    inputs: &[ArrayD<f32>],
    mut observe: impl FnMut(ValueId, &ArrayD<f32>),
) -> Result<Vec<ArrayD<f32>>> {
    let ports: Vec<&Port> = graph.inputs.iter().chain(graph.states.iter().map(|s| &s.input)).collect();
    ensure!(
        inputs.len() == graph.inputs.len() || inputs.len() == ports.len(),
        "{} inputs given, the model has {}",
        inputs.len(),
        graph.inputs.len()
    );
    let initial = if inputs.len() < ports.len() { graph.initial_states() } else { Vec::new() };
    let mut values: Vec<Option<Cow<ArrayD<f32>>>> =
        graph.values.iter().map(|v| v.constant.as_deref().map(Cow::Borrowed)).collect();
    for (port, x) in ports.into_iter().zip(inputs.iter().chain(&initial)) {
        let want = &graph.value(port.value).shape;
        ensure!(x.shape() == want.as_slice(), "input {}: shape {:?} given, {want:?} wanted", port.name, x.shape());
        let x = match graph.value(port.value).pin {
            Some(pin) => Cow::Owned(x.mapv(|v| pin.round(v))),
            None => Cow::Borrowed(x),
        };
        observe(port.value, &x);
        values[port.value.0] = Some(x);
    }
    let mut last_use = vec![0; graph.values.len()];
    for (i, node) in graph.nodes.iter().enumerate() {
        node.inputs.iter().for_each(|v| last_use[v.0] = i);
    }
    for (i, node) in graph.nodes.iter().enumerate() {
        let operands: Vec<&ArrayD<f32>> = node
            .inputs
            .iter()
            .map(|v| values[v.0].as_deref().with_context(|| format!("{}: operand not computed", node.name)))
            .collect::<Result<_>>()?;
        let results = node.op.eval_all(&operands).with_context(|| format!("node {}", node.name))?;
        for (&out, mut y) in node.outputs.iter().zip(results) {
            if let Some(pin) = graph.value(out).pin {
                y.mapv_inplace(|v| pin.round(v));
            }
            debug_assert_eq!(y.shape(), graph.value(out).shape.as_slice(), "{}", node.name);
            observe(out, &y);
            values[out.0] = Some(Cow::Owned(y));
        }
        for v in &node.inputs {
            if last_use[v.0] == i && graph.value(*v).constant.is_none() && !graph.is_output(*v) {
                values[v.0] = None;
            }
        }
    }
    graph
        .outputs
        .iter()
        .chain(graph.states.iter().map(|s| &s.output))
        .map(|p| values[p.value.0].as_deref().cloned().with_context(|| format!("output {} not computed", p.name)))
        .collect()
}

/// Runs the graph on `inputs`; see [`eval_observed`].
///
/// # Errors
/// As [`eval_observed`].
pub fn eval(graph: &Graph, inputs: &[ArrayD<f32>]) -> Result<Vec<ArrayD<f32>>> {
    eval_observed(graph, inputs, |_, _| {})
}
