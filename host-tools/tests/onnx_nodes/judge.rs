//! When a converted model counts as right.
//!
//! First the float graph must give the expected output, to 10⁻³. Then the integer model is held against the expected output,
//! at a tolerance that follows from the quantization steps and from nothing else: the float graph is evaluated once more
//! with every activation rounded to its step on the device, as exact arithmetic between the steps. Where D is the largest
//! deviation of that evaluation from the expected output, the integer model may deviate by 2·D, and by [`STEPS`] steps of the
//! output. Integers and truth values must be those of the rounded evaluation, or the expected ones. A rounded evaluation that
//! is off by more than [`TOO_COARSE`] of the output's range says nothing, and counts as refused.

use anyhow::{Context, Result, ensure};
use ndarray::ArrayD;
use teff::format::Tensor;
use teff::{Model, Session};
use teff_tools::aligned::AlignedBytes;
use teff_tools::convert::{self, convert};
use teff_tools::ir::{Graph, Kind, eval::eval};

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
    let samples = vec![given];
    let options = convert::Options::default();
    let converted = match convert(graph, &samples, &options, &|| {}) {
        Ok(converted) => converted,
        Err(error) => return Ok(Outcome::Refused(format!("{error:#}"))),
    };
    let model = Model::verify(&converted.file)?;
    let entry = model.entry(0).context("no entry point")?;
    let mut memory = AlignedBytes::zeroed(model.memory_len());
    let mut session = Session::new(&model, &mut memory)?;
    for (i, x) in samples[0].iter().enumerate() {
        let tensor = entry.inputs().nth(i).and_then(|p| p.tensor()).context("no tensor")?;
        ensure!(tensor.write_reals(session.input(i)?, x.iter().copied()), "input {i} has another size");
    }
    session.run()?;
    let rounded = rounded(graph, &model, &samples[0])?;
    for (i, (port, want)) in entry.outputs().zip(want).enumerate() {
        let tensor = port.tensor().context("no tensor")?;
        let real = graph.value(graph.outputs[i].value).kind == Kind::Real;
        let largest = want.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        let deviation = want.iter().zip(&rounded[i]).fold(0.0_f32, |m, (w, r)| m.max((w - r).abs()));
        if real && deviation > TOO_COARSE * largest {
            return Ok(Outcome::Refused("the quantization of this range of values is too coarse".into()));
        }
        let tolerance = if real { 2.0 * deviation + STEPS * tensor.scale + ATOL } else { 0.0 };
        for ((got, &want), &rounded) in tensor.read_reals(session.output(i)?).zip(want).zip(&rounded[i]) {
            let right = (got - want).abs() <= tolerance || (!real && got == rounded);
            ensure!(right, "{got} instead of {want}, tolerance {tolerance}");
        }
    }
    Ok(Outcome::Passed)
}

/// The outputs of the float graph with every activation rounded as on the device.
fn rounded(graph: &Graph, model: &Model<'_>, given: &[ArrayD<f32>]) -> Result<Vec<ArrayD<f32>>> {
    let tensors: Vec<(&str, Tensor<'_>)> =
        (0..).map_while(|i| Some((model.tensor_name(i)?, model.tensor(i)?))).collect();
    let round = |name: &str, x: ArrayD<f32>| match tensors.iter().find(|(n, t)| *n == name && t.len == x.len()) {
        Some((_, tensor)) => x.mapv(|v| tensor.dequantize(tensor.quantize(v))),
        None => x,
    };
    let mut values: Vec<Option<ArrayD<f32>>> = graph.values.iter().map(|v| v.constant.as_deref().cloned()).collect();
    for (port, x) in graph.inputs.iter().zip(given) {
        values[port.value.0] = Some(round(&graph.value(port.value).name, x.clone()));
    }
    for node in &graph.nodes {
        let operands = node.inputs.iter().map(|v| values[v.0].as_ref().context("not computed"));
        let y = node.op.eval(&operands.collect::<Result<Vec<_>>>()?)?;
        values[node.outputs[0].0] = Some(round(&graph.value(node.outputs[0]).name, y));
    }
    graph.outputs.iter().map(|p| values[p.value.0].clone().context("not computed")).collect()
}
