//! When a converted model counts as right.
//!
//! First the float graph must give the expected output, to 10⁻³. Then the integer model, once with int8 and once with int16
//! activations, is held against the expected output,
//! at a tolerance that follows from the quantization steps and from nothing else: the float graph is evaluated three times
//! more with every activation rounded to its step on the device (to nearest, all up, all down), as exact arithmetic between
//! the steps. Where D is the largest deviation of these from the expected output, the integer model may deviate by 2·D, and
//! by [`steps`] steps of the output. Integers and truth values must be those of the evaluation rounded to nearest, or the
//! expected ones. If that evaluation is off by more than [`TOO_COARSE`] of the output's range, the case says nothing, and
//! counts as refused.

use anyhow::{Context, Result, ensure};
use ndarray::ArrayD;
use teff::Model;
use teff::format::Tensor;
use teff_tools::convert::{self, convert};
use teff_tools::interpreter::Interpreter;
use teff_tools::ir::{Graph, Kind, eval::eval};
use teff_tools::ops::Op;
use teff_tools::quantize::Width;

use crate::Outcome;

/// Float16 results, and one case whose expected output is written with four digits, need this much.
const RTOL: f32 = 1e-3;
const ATOL: f32 = 1e-5;
/// Steps of the output: one is the operator's own rounding, one that of its constants.
const STEPS: f32 = 2.0;
/// Part of the output's largest magnitude.
const TOO_COARSE: f32 = 0.25;

/// Holds the graph, in float and in integers, against the expected outputs.
///
/// # Errors
/// If a result is wrong.
pub(crate) fn judge(graph: &Graph, given: Vec<ArrayD<f32>>, want: &[ArrayD<f32>]) -> Result<Outcome> {
    for (got, want) in eval(graph, &given)?.iter().zip(want) {
        ensure!(got.shape() == want.shape(), "shape {:?} instead of {:?}", got.shape(), want.shape());
        for (g, w) in got.iter().zip(want) {
            let close = g == w || (g.is_nan() && w.is_nan()) || (g - w).abs() <= ATOL + RTOL * w.abs();
            ensure!(close, "float: {g} instead of {w}");
        }
    }
    for activations in [Width::Int8, Width::Int16] {
        let judged = judge_quantized(graph, &given, want, activations).with_context(|| format!("{activations:?}"))?;
        if judged != Outcome::Passed {
            return Ok(judged);
        }
    }
    Ok(Outcome::Passed)
}

fn judge_quantized(graph: &Graph, given: &[ArrayD<f32>], want: &[ArrayD<f32>], activations: Width) -> Result<Outcome> {
    let options = convert::Options { activations, ..convert::Options::default() };
    let converted = match convert(graph, &vec![given.to_vec()], &options, &|| {}) {
        Ok(converted) => converted,
        Err(error) => return Ok(Outcome::Refused(format!("{error:#}"))),
    };
    let model = Model::verify(&converted.file)?;
    let found = Interpreter::new(&model).run(given)?;
    let off = [0.5, -0.5].map(|shift| rounded(graph, &model, given, shift));
    let [up, down] = [off[0].as_ref(), off[1].as_ref()].map(|r| r.map_err(|e| anyhow::anyhow!("{e:#}")));
    let (up, down) = (up?, down?);
    let rounded = rounded(graph, &model, given, 0.0)?;
    let steps = steps(graph, activations);
    let ports = model.entry(0).context("no entry point")?.outputs();
    for (i, ((port, want), found)) in ports.zip(want).zip(&found).enumerate() {
        let tensor = port.tensor().context("no tensor")?;
        let real = graph.value(graph.outputs[i].value).kind == Kind::Real;
        let largest = want.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        let deviations = [&rounded[i], &up[i], &down[i]]
            .map(|found| want.iter().zip(found).fold(0.0_f32, |m, (w, r)| m.max((w - r).abs())));
        let deviation = deviations.into_iter().fold(0.0, f32::max);
        if real && deviations[0] > TOO_COARSE * largest {
            return Ok(Outcome::Refused("the quantization of this range of values is too coarse".into()));
        }
        let tolerance = if real { 2.0 * deviation + steps * tensor.scale + ATOL } else { 0.0 };
        for ((&got, &want), &rounded) in found.device.iter().zip(want).zip(&rounded[i]) {
            let right = (got - want).abs() <= tolerance || (!real && got == rounded);
            ensure!(right, "{got} instead of {want}, tolerance {tolerance}");
        }
    }
    Ok(Outcome::Passed)
}

/// How many steps of the output a result may be off. Weights have 8 bits in both widths, so that their share is 257 times as
/// many of int16's steps.
fn steps(graph: &Graph, activations: Width) -> f32 {
    let weights = |op: &Op| matches!(op, Op::Conv2d(_) | Op::FullyConnected(_) | Op::Recurrent(_));
    match activations {
        Width::Int16 if graph.nodes.iter().any(|node| weights(&node.op)) => 257.0 * STEPS,
        _ => STEPS,
    }
}

/// The outputs of the float graph with every activation rounded as on the device.
/// Real numbers are moved by `shift` steps first: by half a step they are rounded up, by minus half a step down.
fn rounded(graph: &Graph, model: &Model<'_>, given: &[ArrayD<f32>], shift: f32) -> Result<Vec<ArrayD<f32>>> {
    let tensors: Vec<(&str, Tensor<'_>)> =
        (0..).map_while(|i| Some((model.tensor_name(i)?, model.tensor(i)?))).collect();
    let round =
        |kind: Kind, name: &str, x: ArrayD<f32>| match tensors.iter().find(|(n, t)| *n == name && t.len == x.len()) {
            Some((_, tensor)) if kind == Kind::Real => {
                x.mapv(|v| tensor.dequantize(tensor.quantize(v + shift * tensor.scale)))
            }
            _ => x,
        };
    let mut values: Vec<Option<ArrayD<f32>>> = graph.values.iter().map(|v| v.constant.as_deref().cloned()).collect();
    for (port, x) in graph.inputs.iter().zip(given) {
        values[port.value.0] = Some(round(graph.value(port.value).kind, &graph.value(port.value).name, x.clone()));
    }
    for node in &graph.nodes {
        let operands = node.inputs.iter().map(|v| values[v.0].as_ref().context("not computed"));
        let y = node.op.eval(&operands.collect::<Result<Vec<_>>>()?)?;
        values[node.outputs[0].0] =
            Some(round(graph.value(node.outputs[0]).kind, &graph.value(node.outputs[0]).name, y));
    }
    graph.outputs.iter().map(|p| values[p.value.0].clone().context("not computed")).collect()
}
