//! The runtime on the host: the very arithmetic that runs on a board, between real numbers of any element type.

use anyhow::{Context, Result, ensure};
use ndarray::{ArrayD, IxDyn};
use teff::format::{Port, Tensor};
use teff::{Model, Session, StepEvent};

use crate::aligned::AlignedBytes;
use crate::stream;

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
    pub bytes: Vec<u8>,
    /// The integers that they are.
    pub quantized: Vec<i32>,
    /// The real numbers that these stand for, in the layout of the device.
    pub device: ArrayD<f32>,
    /// The same in the ONNX layout.
    pub real: ArrayD<f32>,
}

impl<'m> Interpreter<'m> {
    /// Gives `model` its memory.
    pub fn new(model: &'m Model<'m>) -> Self {
        Self { model, memory: AlignedBytes::zeroed(model.memory_len()) }
    }

    /// Runs the model on real numbers, in the layout of the device; state starts at zero. A [stream] takes whole
    /// windows, and gives what it gives after their last column.
    ///
    /// # Errors
    /// If the inputs do not fit.
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
        mut observer: impl FnMut(&StepEvent<'_, '_>),
    ) -> Result<Vec<Output>> {
        let mut session = Session::new(self.model, &mut self.memory)?;
        for inputs in stream::runs(self.model, inputs)? {
            for (index, bytes) in quantize_inputs(self.model, &inputs)?.iter().enumerate() {
                session.input(index)?.copy_from_slice(bytes);
            }
            session.run_observed(&mut observer)?;
        }
        let entry = self.model.entry(0).context("no entry point")?;
        let output = |(index, port): (usize, Port<'_>)| {
            let name = port.name().to_string();
            let tensor = tensor_of(&port)?;
            let bytes = session.output(index).with_context(|| format!("output {name}"))?.to_vec();
            let quantized = tensor.read_integers(&bytes).collect();
            let device = dequantize(&tensor, &bytes)?;
            let real = onnx_layout(device.clone(), port.perm());
            Ok(Output { name, bytes, quantized, device, real })
        };
        entry.outputs().enumerate().map(output).collect()
    }
}

/// The inputs of a model as bytes, in the order of its entry point: what a board is sent.
///
/// # Errors
/// If they do not fit the model's inputs.
pub fn quantize_inputs(model: &Model<'_>, inputs: &[ArrayD<f32>]) -> Result<Vec<Vec<u8>>> {
    let entry = model.entry(0).context("no entry point")?;
    ensure!(entry.inputs().count() == inputs.len(), "{} inputs given", inputs.len());
    let quantize = |(port, x): (Port<'_>, &ArrayD<f32>)| {
        let tensor = tensor_of(&port)?;
        let mut bytes = vec![0; tensor.byte_len()];
        let fits = tensor.write_reals(&mut bytes, x.iter().copied());
        ensure!(fits, "input {}: {} elements given, {} wanted", port.name(), x.len(), tensor.len);
        Ok(bytes)
    };
    entry.inputs().zip(inputs).map(quantize).collect()
}

/// What the model sees of real inputs: quantized, and real again.
///
/// # Errors
/// If they do not fit the model's inputs.
pub fn seen_inputs(model: &Model<'_>, inputs: &[ArrayD<f32>]) -> Result<Vec<ArrayD<f32>>> {
    let bytes = quantize_inputs(model, inputs)?;
    let ports = model.entry(0).into_iter().flat_map(|entry| entry.inputs());
    ports.zip(&bytes).map(|(port, bytes)| dequantize(&tensor_of(&port)?, bytes)).collect()
}

/// The real numbers that the bytes of `tensor` stand for.
///
/// # Errors
/// If there are too many or too few.
pub fn dequantize(tensor: &Tensor<'_>, bytes: &[u8]) -> Result<ArrayD<f32>> {
    let shape: Vec<usize> = tensor.shape.iter().map(|&d| d as usize).collect();
    Ok(ArrayD::from_shape_vec(IxDyn(&shape), tensor.read_reals(bytes).collect())?)
}

fn tensor_of<'m>(port: &Port<'m>) -> Result<Tensor<'m>> {
    port.tensor().with_context(|| format!("port {}: no tensor", port.name()))
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
