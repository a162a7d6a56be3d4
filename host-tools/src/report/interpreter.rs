//! The runtime on the host: the very arithmetic that runs on a board.

use anyhow::{Context, Result, ensure};
use ndarray::{ArrayD, IxDyn};
use teff::format::{DataType, Tensor};
use teff::{Model, Session, StepEvent};

use crate::aligned::AlignedBytes;

/// A model with memory of its own: one a thread.
pub struct Interpreter<'m> {
    model: &'m Model<'m>,
    memory: AlignedBytes,
}

/// An output of a run.
#[derive(Debug, Clone)]
pub struct Output {
    /// The ONNX name.
    pub name: String,
    /// The bytes as the device has them.
    pub quantized: Vec<i8>,
    /// The numbers that they stand for, in the ONNX layout.
    pub real: ArrayD<f32>,
}

impl<'m> Interpreter<'m> {
    /// Gives `model` its memory.
    pub fn new(model: &'m Model<'m>) -> Self {
        Self { model, memory: AlignedBytes::zeroed(model.memory_len()) }
    }

    /// Runs the model on real numbers, in the layout of the device; state starts at zero.
    ///
    /// # Errors
    /// If inputs and outputs are not int8, or do not fit.
    pub fn run(&mut self, inputs: &[ArrayD<f32>]) -> Result<Vec<Output>> {
        self.run_observed(inputs, |_| {})
    }

    /// As [`Interpreter::run`]; tells `observer` of each step.
    ///
    /// # Errors
    /// As [`Interpreter::run`].
    pub fn run_observed(
        &mut self,
        inputs: &[ArrayD<f32>],
        observer: impl FnMut(&StepEvent<'_, 'm>),
    ) -> Result<Vec<Output>> {
        let mut session = Session::new(self.model, &mut self.memory)?;
        for (index, values) in quantize_inputs(self.model, inputs)?.iter().enumerate() {
            session.input_i8(index)?.copy_from_slice(values);
        }
        session.run_observed(observer)?;
        let entry = self.model.entry(0).context("no entry point")?;
        let output = |(index, port): (usize, teff::format::Port<'_>)| {
            let name = port.name().to_string();
            let tensor = port.tensor().with_context(|| format!("output {name}: no tensor"))?;
            let quantized = session.output_i8(index).with_context(|| format!("output {name}"))?.to_vec();
            let real = onnx_layout(dequantize(&tensor, &quantized)?, port.perm());
            Ok(Output { name, quantized, real })
        };
        entry.outputs().enumerate().map(output).collect()
    }
}

/// The inputs of a model as bytes, in the order of its entry point: what a board is sent.
///
/// # Errors
/// If they do not fit the model's inputs.
pub fn quantize_inputs(model: &Model<'_>, inputs: &[ArrayD<f32>]) -> Result<Vec<Vec<i8>>> {
    let entry = model.entry(0).context("no entry point")?;
    ensure!(entry.inputs().count() == inputs.len(), "{} inputs given", inputs.len());
    let quantize = |(port, x): (teff::format::Port<'_>, &ArrayD<f32>)| {
        let name = port.name();
        let tensor = port.tensor().with_context(|| format!("input {name}: no tensor"))?;
        ensure!(tensor.data_type == DataType::I8, "input {name}: {:?}, not int8", tensor.data_type);
        ensure!(x.len() == tensor.len, "input {name}: {} elements given, {} wanted", x.len(), tensor.len);
        Ok(x.iter().map(|&real| tensor.quantize_i8(real)).collect())
    };
    entry.inputs().zip(inputs).map(quantize).collect()
}

/// The numbers that the bytes of `tensor` stand for.
pub(super) fn dequantize(tensor: &Tensor<'_>, quantized: &[i8]) -> Result<ArrayD<f32>> {
    let shape: Vec<usize> = tensor.shape.iter().map(|&d| d as usize).collect();
    let real = quantized.iter().map(|&q| tensor.dequantize_i8(q)).collect();
    Ok(ArrayD::from_shape_vec(IxDyn(&shape), real)?)
}

/// Device axis `i` is ONNX axis `perm[i]`; an empty `perm` is the identity.
fn onnx_layout(x: ArrayD<f32>, perm: &[u8]) -> ArrayD<f32> {
    if perm.is_empty() {
        return x;
    }
    let mut inverse = vec![0; perm.len()];
    for (i, &axis) in perm.iter().enumerate() {
        inverse[usize::from(axis)] = i;
    }
    x.permuted_axes(inverse).as_standard_layout().into_owned()
}
