//! A `.teff` file in figures.

use std::collections::BTreeMap;

use serde::Serialize;
use teff::Model;
use teff::format::{DataType, Port, StepView, Storage, Tensor};
use teff::kernels::rows::HEADER;
use teff::ops::conv_chain;

use super::map::MemoryMap;

/// What is in a model and what it costs.
#[derive(Debug, Clone, Serialize)]
pub struct ModelReport {
    /// CRC-32 of the file.
    pub crc: String,
    /// Keys and values.
    pub metadata: BTreeMap<String, String>,
    /// Whether the file can test itself on a device.
    pub self_test: bool,
    /// Inputs of the first entry point.
    pub inputs: Vec<PortReport>,
    /// Outputs of the first entry point.
    pub outputs: Vec<PortReport>,
    /// Every step.
    pub steps: Vec<StepReport>,
    /// Sums.
    pub totals: Totals,
}

/// An input or output.
#[derive(Debug, Clone, Serialize)]
pub struct PortReport {
    /// The ONNX name.
    pub name: String,
    /// `i8` …
    pub data_type: String,
    /// On the device.
    pub shape: Vec<usize>,
    /// Axis `i` on the device is axis `perm[i]` of the ONNX model; empty if the layouts are the same.
    pub perm: Vec<usize>,
    /// Real value of one quantization step.
    pub scale: f32,
    /// The quantized value that stands for 0.
    pub zero_point: i32,
}

/// A step.
#[derive(Debug, Clone, Serialize)]
pub struct StepReport {
    /// Place in the file.
    pub index: usize,
    /// Operator.
    pub op: String,
    /// The node it comes from, if the file has names.
    pub name: Option<String>,
    /// Shape of the output.
    pub shape: Vec<usize>,
    /// Multiply-accumulates, padded positions included.
    pub macs: u64,
    /// Weights and biases.
    pub parameters: usize,
    /// Bytes of constants: weights, biases, multipliers, shifts, tables.
    pub constant_bytes: usize,
    /// Bytes of the output.
    pub output_bytes: usize,
    /// Bytes of scratch memory.
    pub scratch_bytes: usize,
    /// Bytes of arena that hold something during the step.
    pub live_bytes: usize,
    /// Whether the output takes the place of an input.
    pub in_place: bool,
}

/// Sums over a model.
#[derive(Debug, Clone, Serialize)]
pub struct Totals {
    /// Multiply-accumulates of an inference.
    pub macs: u64,
    /// Weights and biases.
    pub parameters: usize,
    /// Bytes of flash: the file.
    pub file_bytes: usize,
    /// Bytes of constants in it.
    pub weight_bytes: usize,
    /// Bytes of RAM that last within a run.
    pub arena_bytes: usize,
    /// No plan of these steps in this order can do with a smaller arena.
    pub arena_lower_bound: usize,
    /// Bytes of RAM that last from run to run.
    pub state_bytes: usize,
    /// Bytes of RAM in all.
    pub memory_bytes: usize,
}

impl ModelReport {
    /// Reads a verified model.
    pub fn new(model: &Model<'_>) -> Self {
        let map = MemoryMap::new(model);
        let steps: Vec<StepReport> =
            model.steps().zip(&map.rows).map(|(step, row)| step_report(model, &step, row.live_bytes())).collect();
        let entry = model.entry(0);
        let ports = |ports: Option<Vec<PortReport>>| ports.unwrap_or_default();
        Self {
            crc: format!("{:#010x}", model.crc()),
            metadata: model.metadata().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
            self_test: model.self_test().is_some(),
            inputs: ports(entry.map(|e| e.inputs().filter_map(port_report).collect())),
            outputs: ports(entry.map(|e| e.outputs().filter_map(port_report).collect())),
            totals: Totals {
                macs: steps.iter().map(|s| s.macs).sum(),
                parameters: steps.iter().map(|s| s.parameters).sum(),
                file_bytes: model.file_len(),
                weight_bytes: model.weights_len(),
                arena_bytes: model.arena_len(),
                arena_lower_bound: map.lower_bound(),
                state_bytes: model.state_len(),
                memory_bytes: model.memory_len(),
            },
            steps,
        }
    }
}

fn dims(tensor: &Tensor<'_>) -> Vec<usize> {
    tensor.shape.iter().map(|&d| d as usize).collect()
}

fn port_report(port: Port<'_>) -> Option<PortReport> {
    let tensor = port.tensor()?;
    Some(PortReport {
        name: port.name().to_string(),
        data_type: format!("{:?}", tensor.data_type).to_lowercase(),
        shape: dims(&tensor),
        perm: port.perm().iter().map(|&axis| axis.into()).collect(),
        scale: tensor.scale,
        zero_point: tensor.zero_point,
    })
}

fn step_report(model: &Model<'_>, step: &StepView<'_>, live_bytes: usize) -> StepReport {
    let inputs: Vec<Tensor<'_>> = (0..step.inputs.len()).filter_map(|slot| step.input(slot)).collect();
    let outputs: Vec<Tensor<'_>> = (0..step.outputs.len()).filter_map(|slot| step.output(slot)).collect();
    let is_constant = |tensor: &&Tensor<'_>| tensor.storage == Storage::Constant;
    let in_place = |y: &Tensor<'_>| inputs.iter().any(|x| !is_constant(&x) && x.offset == y.offset && x.len == y.len);
    StepReport {
        index: step.index,
        op: step.op.name.to_string(),
        name: model.step_name(step.index).map(str::to_string),
        shape: outputs.first().map(dims).unwrap_or_default(),
        macs: macs(step, &inputs, &outputs),
        parameters: parameters(step.op.name, &inputs),
        constant_bytes: inputs.iter().filter(is_constant).map(Tensor::byte_len).sum(),
        output_bytes: outputs.iter().map(Tensor::byte_len).sum(),
        scratch_bytes: step.scratch_len,
        live_bytes,
        in_place: outputs.iter().any(in_place),
    }
}

/// The name without the suffix of an int16 form.
fn form(op: &str) -> &str {
    op.strip_suffix("_s16").unwrap_or(op)
}

/// Multiply-accumulates of convolutions and matrix products; other operators count 0.
fn macs(step: &StepView<'_>, inputs: &[Tensor<'_>], outputs: &[Tensor<'_>]) -> u64 {
    let op = step.op.name;
    // Matrix products of narrow rows, whose elements come behind a header; weights of few bits share bytes.
    let weights = match op {
        "row_linear" | "mlp_up" => Some(1),
        "row_linear_add" => Some(2),
        _ => None,
    };
    if let Some(slot) = weights {
        let (Some(x), Some(w)) = (inputs.first(), inputs.get(slot)) else { return 0 };
        let (&[rows, len], &[outputs, _]) = (dims(x).as_slice(), dims(w).as_slice()) else { return 0 };
        return (rows * len.saturating_sub(HEADER) * outputs) as u64;
    }
    if form(op) == "conv_chain" {
        return chain_macs(step).unwrap_or_default();
    }
    let (Some(w), Some(y)) = (inputs.get(1), outputs.first()) else { return 0 };
    let per_output = match (form(op), dims(w).as_slice()) {
        ("conv2d", [_, kh, kw, depth]) => kh * kw * depth,
        ("depthwise_conv2d", [kh, kw, _]) => kh * kw,
        ("fully_connected", [_, depth]) => *depth,
        _ => return 0,
    };
    y.len as u64 * per_output as u64
}

/// Multiply-accumulates of all stages of a chain.
fn chain_macs(step: &StepView<'_>) -> Option<u64> {
    let stages: &[conv_chain::Stage] = step.params()?;
    let macs = stages.iter().enumerate().map(|(index, stage)| {
        let w = step.input(conv_chain::weights(index))?;
        // Of depthwise weights each belongs to an output channel, as of all others.
        Some(stage.output.iter().map(|&length| u64::from(length)).product::<u64>() * w.len as u64)
    });
    macs.sum()
}

/// Weights and biases; multipliers, shifts and tables come from quantization and do not count.
fn parameters(op: &str, inputs: &[Tensor<'_>]) -> usize {
    let constants = inputs.iter().filter(|tensor| tensor.storage == Storage::Constant);
    match form(op) {
        "conv2d" | "depthwise_conv2d" | "fully_connected" => constants.take(2).map(|tensor| tensor.len).sum(),
        "conv_chain" => constants.enumerate().filter(|(at, _)| at % 4 < 2).map(|(_, tensor)| tensor.len).sum(),
        "table" => 0,
        _ => constants
            .filter(|tensor| matches!(tensor.data_type, DataType::I8 | DataType::I16))
            .map(|tensor| tensor.len)
            .sum(),
    }
}
