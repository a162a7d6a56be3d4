//! Signal and quantization noise, layer by layer.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use ndarray::ArrayD;
use rayon::prelude::*;
use serde::Serialize;
use teff::Model;
use teff::format::DataType;

use crate::calibrate::Samples;
use crate::data::Dataset;
use crate::interpreter::{Interpreter, dequantize};
use crate::ir::Graph;
use crate::ir::eval::eval_observed;

/// How many layers are marked as the worst.
const WORST: usize = 3;

/// A layer of a `.teff` held against the float graph.
#[derive(Debug, Clone, Serialize)]
pub struct LayerReport {
    /// The step.
    pub step: usize,
    /// Its operator.
    pub op: String,
    /// The tensor that it writes.
    pub name: String,
    /// Power of the float signal over that of its difference to the quantized one, in decibels, all earlier layers'
    /// errors included; none if there is no difference.
    pub sqnr_db: Option<f64>,
    /// Whether it is one of the lowest.
    pub worst: bool,
}

/// Sums of squares over a tensor and all samples.
#[derive(Debug, Clone, Copy, Default)]
struct Power {
    signal: f64,
    noise: f64,
}

/// Runs the samples of `data` through `model` and through the float `graph` that it was made from, and compares the
/// tensors that have the same name in both.
///
/// `tick` is called after each sample.
///
/// # Errors
/// If the file has no names, shares none with the graph, or a sample cannot be run.
pub fn compare_layers(
    model: &Model<'_>,
    graph: &Graph,
    data: &Dataset,
    tick: &(dyn Fn() + Sync),
) -> Result<Vec<LayerReport>> {
    ensure!(
        model.tensor_count() == 0 || model.tensor_name(0).is_some(),
        "the .teff has no names to match its layers by: convert without --no-debug-names"
    );
    let layers = matched(model, graph);
    ensure!(!layers.is_empty(), "no layer of the .teff has the name of one of the ONNX model: not the same model");
    let zero = || vec![Power::default(); model.step_count()];
    let powers = (0..data.len())
        .into_par_iter()
        .try_fold(
            || (Interpreter::new(model), zero()),
            |(mut interpreter, mut powers), index| {
                let inputs = data.inputs(index)?;
                let float = float_layers(graph, data, &inputs, &layers).with_context(|| format!("sample {index}"))?;
                interpreter.run_observed(&inputs, |event| {
                    let step = event.step.index;
                    let found = event.step.output(0).map(|tensor| dequantize(&tensor, event.output));
                    if let (Some(float), Some(Ok(found))) = (float.get(&step), found) {
                        powers[step].add(float, &found);
                    }
                })?;
                tick();
                anyhow::Ok((interpreter, powers))
            },
        )
        .map(|done| done.map(|(_, powers)| powers))
        .try_reduce(zero, |mut a, b| {
            a.iter_mut().zip(&b).for_each(|(a, b)| a.merge(b));
            Ok(a)
        })?;
    let mut reports: Vec<LayerReport> = layers.iter().map(|layer| layer.report(model, &powers)).collect();
    mark_worst(&mut reports);
    Ok(reports)
}

/// A step and the value of the graph that it computes.
struct Layer {
    step: usize,
    name: String,
    value: usize,
}

impl Layer {
    fn report(&self, model: &Model<'_>, powers: &[Power]) -> LayerReport {
        let op = model.step(self.step).map_or("", |step| step.op.name).to_string();
        LayerReport {
            step: self.step,
            op,
            name: self.name.clone(),
            sqnr_db: powers[self.step].decibels(),
            worst: false,
        }
    }
}

impl Power {
    fn add(&mut self, float: &ArrayD<f32>, quantized: &ArrayD<f32>) {
        for (&f, &q) in float.iter().zip(quantized) {
            self.signal += f64::from(f).powi(2);
            self.noise += (f64::from(f) - f64::from(q)).powi(2);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.signal += other.signal;
        self.noise += other.noise;
    }

    fn decibels(&self) -> Option<f64> {
        (self.noise > 0.0).then(|| 10.0 * (self.signal / self.noise).log10()).filter(|db| db.is_finite())
    }
}

/// The steps whose quantized output has the name and the shape of a value of the graph.
fn matched(model: &Model<'_>, graph: &Graph) -> Vec<Layer> {
    let values: HashMap<&str, usize> = graph
        .values
        .iter()
        .enumerate()
        .filter(|(_, v)| v.constant.is_none())
        .map(|(i, v)| (v.name.as_str(), i))
        .collect();
    let layer = |step: teff::format::StepView<'_>| {
        let tensor = step.output(0).filter(|tensor| matches!(tensor.data_type, DataType::I8 | DataType::I16))?;
        let name = model.tensor_name((*step.outputs.first()?).into())?;
        let value = *values.get(name)?;
        let same = tensor.shape.iter().map(|&d| d as usize).eq(graph.values[value].shape.iter().copied());
        same.then(|| Layer { step: step.index, name: name.to_string(), value })
    };
    model.steps().filter_map(layer).collect()
}

/// The float values of the layers, by step. The graph may have its inputs in another order than the file.
fn float_layers(
    graph: &Graph,
    data: &Dataset,
    inputs: &[ArrayD<f32>],
    layers: &[Layer],
) -> Result<HashMap<usize, ArrayD<f32>>> {
    let input = |port: &crate::ir::Port| {
        let place = data.specs().iter().position(|spec| spec.name == port.name);
        place.and_then(|i| inputs.get(i)).cloned().with_context(|| format!("the .teff has no input {}", port.name))
    };
    let inputs = graph.inputs.iter().map(input).collect::<Result<Vec<_>>>()?;
    let step_of: HashMap<usize, usize> = layers.iter().map(|layer| (layer.value, layer.step)).collect();
    let mut float = HashMap::new();
    eval_observed(graph, &inputs, |id, values| {
        if let Some(&step) = step_of.get(&id.0) {
            float.insert(step, values.clone());
        }
    })?;
    Ok(float)
}

fn mark_worst(reports: &mut [LayerReport]) {
    let mut order: Vec<(f64, usize)> =
        reports.iter().enumerate().filter_map(|(i, report)| Some((report.sqnr_db?, i))).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (_, i) in order.into_iter().take(WORST) {
        reports[i].worst = true;
    }
}
