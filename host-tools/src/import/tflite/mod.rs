//! TensorFlow Lite models → IR.
//!
//! The schema is tract's (`tract-tflite`), which checks the FlatBuffer before anything is read. The format is close to
//! the IR: images are NHWC, shapes are fixed, and quantized tensors carry scale and zero point, which become marks as in
//! [quantized ONNX graphs](super::quantized).

mod elementwise;
mod layout;
mod window;

use anyhow::{Context, Result, anyhow, bail, ensure};
use ndarray::{ArrayD, IxDyn};
use tract_onnx::prelude::f16;
use tract_tflite::tflite::{ActivationFunctionType, Model, Operator, SubGraph, TensorType, root_as_model};

use super::quantized::mark::{Grid, Stored};
use super::{Options, Unsupported, UnsupportedNode};
use crate::ir::{Graph, Port, ValueId};
use crate::ops::{Op, clamp::Clamp, requantize::Requantize};

/// Whether these are the bytes of a TensorFlow Lite model.
pub(super) fn is_tflite(bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(b"TFL3")
}

/// Reads a TensorFlow Lite model.
///
/// # Errors
/// If the bytes are no such model, or it cannot be converted ([`Unsupported`] lists why).
pub(super) fn load(bytes: &[u8], options: &Options) -> Result<Graph> {
    let model = root_as_model(bytes).map_err(|e| anyhow!("this is no TensorFlow Lite model: {e}"))?;
    let subgraphs = model.subgraphs().context("the file holds no graph")?;
    ensure!(!subgraphs.is_empty(), "the file holds no graph");
    let reader = Reader { model, subgraph: subgraphs.get(0), graph: Graph::default(), values: Vec::new() };
    reader.read(options)
}

/// The state of the walk over the operators.
struct Reader<'m> {
    model: Model<'m>,
    subgraph: SubGraph<'m>,
    graph: Graph,
    /// The value of each tensor that has been computed, or is constant and has been read.
    values: Vec<Option<ValueId>>,
}

/// One operator and its tensors.
struct Call<'m> {
    op: Operator<'m>,
    name: String,
    inputs: Vec<i32>,
    outputs: Vec<i32>,
}

impl<'m> Reader<'m> {
    fn read(mut self, options: &Options) -> Result<Graph> {
        self.values = vec![None; self.subgraph.tensors().map_or(0, |t| t.len())];
        let (inputs, outputs) = (indices(self.subgraph.inputs()), indices(self.subgraph.outputs()));
        for &index in &inputs {
            self.input(index, options)?;
        }
        let mut refused = Vec::new();
        for op in self.subgraph.operators().iter().flat_map(|ops| ops.iter()) {
            let (inputs, outputs) = (indices(op.inputs()), indices(op.outputs()));
            let name = outputs.first().map_or(String::new(), |&o| self.name(o));
            let call = Call { op, name, inputs, outputs };
            let before = self.graph.nodes.len();
            let code = self.code(&call.op);
            if let Err(error) = self.operator(&code, &call) {
                self.graph.nodes.truncate(before);
                let shapes = call.inputs.iter().filter(|&&i| i >= 0).map(|&i| format!("{:?}", self.shape_of(i)));
                let advice = format!("{error:#}");
                refused.push(UnsupportedNode { name: call.name.clone(), op: code, shapes: shapes.collect(), advice });
                for &output in &call.outputs {
                    let shape = self.shape_of(output);
                    let value = self.graph.activation(self.name(output), &shape);
                    self.set(output, value)?;
                }
            }
        }
        if !refused.is_empty() {
            return Err(Unsupported { nodes: refused }.into());
        }
        for index in outputs {
            let name = self.name(index);
            let value = self.value(index).with_context(|| format!("output {name}"))?;
            let onnx_shape = self.graph.value(value).shape.clone();
            self.graph.outputs.push(Port { value, name, onnx_shape, perm: None });
        }
        Ok(self.graph)
    }

    fn input(&mut self, index: i32, options: &Options) -> Result<()> {
        let (name, shape) = (self.name(index), self.shape_of(index));
        if let Some((_, given)) = options.input_shapes.iter().find(|(n, _)| *n == name) {
            ensure!(*given == shape, "input {name} has the fixed shape {shape:?}: export the model with {given:?}");
        }
        ensure!(
            !shape.contains(&0),
            "input {name}: shape {shape:?} has no elements: export the model with fixed shapes"
        );
        let kind = self.tensor(index)?.type_();
        let float = matches!(kind, TensorType::FLOAT32 | TensorType::INT8 | TensorType::UINT8 | TensorType::INT16);
        ensure!(float, "input {name} holds {kind:?}: only float32, int8 and uint8 are read");
        let value = self.graph.activation(&name, &shape);
        self.graph.inputs.push(Port { value, name, onnx_shape: shape, perm: None });
        let value = self.marked(index, value)?;
        self.set(index, value)
    }

    fn operator(&mut self, code: &str, call: &Call<'m>) -> Result<()> {
        match code {
            "CONV_2D" | "DEPTHWISE_CONV_2D" | "FULLY_CONNECTED" | "AVERAGE_POOL_2D" | "MAX_POOL_2D" => {
                self.window(code, call)
            }
            "RESHAPE"
            | "SQUEEZE"
            | "EXPAND_DIMS"
            | "TRANSPOSE"
            | "PAD"
            | "PADV2"
            | "CONCATENATION"
            | "STRIDED_SLICE"
            | "SLICE"
            | "SPLIT"
            | "SPLIT_V"
            | "PACK"
            | "UNPACK"
            | "RESIZE_NEAREST_NEIGHBOR"
            | "RESIZE_BILINEAR"
            | "SPACE_TO_DEPTH"
            | "DEPTH_TO_SPACE" => self.layout(code, call),
            _ => self.elementwise(code, call),
        }
    }

    /// The operator's name in the schema.
    fn code(&self, op: &Operator<'_>) -> String {
        let codes = self.model.operator_codes();
        let Some(code) = codes.filter(|c| (op.opcode_index() as usize) < c.len()) else { return "?".into() };
        let code = code.get(op.opcode_index() as usize);
        // Old writers fill in the old field of one byte only.
        let number = code.builtin_code().0.max(i32::from(code.deprecated_builtin_code()));
        let known = tract_tflite::tflite::BuiltinOperator(number).variant_name();
        match (known, code.custom_code()) {
            (_, Some(custom)) => custom.to_string(),
            (Some(name), None) => name.to_string(),
            (None, None) => format!("operator {number}"),
        }
    }

    fn tensor(&self, index: i32) -> Result<tract_tflite::tflite::Tensor<'m>> {
        let tensors = self.subgraph.tensors().context("the graph has no tensors")?;
        let index = usize::try_from(index).ok().filter(|&i| i < tensors.len()).context("a tensor that is not there")?;
        Ok(tensors.get(index))
    }

    fn name(&self, index: i32) -> String {
        let name = self.tensor(index).ok().and_then(|t| t.name()).unwrap_or("");
        if name.is_empty() { format!("tensor {index}") } else { name.to_string() }
    }

    /// A dimension that is not fixed is the batch: 1.
    fn shape_of(&self, index: i32) -> Vec<usize> {
        let shape = self.tensor(index).ok().and_then(|t| t.shape());
        shape.map_or(Vec::new(), |s| s.iter().map(|d| usize::try_from(d).unwrap_or(1)).collect())
    }

    /// Scale and zero point of a tensor, if it has them.
    fn grid(&self, index: i32) -> Result<Option<Grid>> {
        let tensor = self.tensor(index)?;
        let Some(quantization) = tensor.quantization() else { return Ok(None) };
        let scale: Vec<f32> = quantization.scale().map_or(Vec::new(), |s| s.iter().collect());
        if scale.is_empty() {
            return Ok(None);
        }
        ensure!(scale.iter().all(|s| s.is_finite() && *s > 0.0), "{}: a scale is not positive", self.name(index));
        let zero_point = quantization.zero_point().map_or(Vec::new(), |z| z.iter().collect());
        let mut zero_point: Vec<i32> = zero_point.into_iter().map(i32::try_from).collect::<Result<_, _>>()?;
        if zero_point.windows(2).all(|w| w[0] == w[1]) {
            zero_point.truncate(1);
        }
        zero_point.resize(zero_point.len().max(1), 0);
        let stored = match tensor.type_() {
            TensorType::INT8 => Stored::I8,
            TensorType::UINT8 => Stored::U8,
            TensorType::INT16 => Stored::I16,
            TensorType::INT32 | TensorType::INT64 => Stored::I32,
            _ => return Ok(None),
        };
        Ok(Some(Grid { scale, zero_point, axis: quantization.quantized_dimension().into(), stored }))
    }

    /// The elements of a constant as integers, if it is one.
    fn stored_integers(&self, index: i32) -> Result<Option<ArrayD<i64>>> {
        let (tensor, shape) = (self.tensor(index)?, self.shape_of(index));
        let Some(bytes) = self.buffer(index)? else { return Ok(None) };
        let values: Vec<i64> = match tensor.type_() {
            TensorType::INT8 => bytes.iter().map(|&b| i64::from(b as i8)).collect(),
            TensorType::UINT8 | TensorType::BOOL => bytes.iter().map(|&b| b.into()).collect(),
            TensorType::INT16 => bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]]).into()).collect(),
            TensorType::INT32 => words(bytes).map(|b| i32::from_le_bytes(b).into()).collect(),
            TensorType::INT64 => {
                let long = |b: &[u8]| b.try_into().map(i64::from_le_bytes);
                bytes.chunks_exact(8).map(long).collect::<Result<_, _>>()?
            }
            other => bail!("{}: constants of {other:?} are not read", self.name(index)),
        };
        Ok(Some(ArrayD::from_shape_vec(IxDyn(&shape), values).with_context(|| self.name(index))?))
    }

    /// The bytes of a constant, if the tensor is one.
    fn buffer(&self, index: i32) -> Result<Option<&'m [u8]>> {
        let buffer = self.tensor(index)?.buffer() as usize;
        let buffers = self.model.buffers().context("the file has no buffers")?;
        ensure!(buffer < buffers.len(), "{}: its buffer is not there", self.name(index));
        Ok(buffers.get(buffer).data().map(|d| d.bytes()).filter(|bytes| !bytes.is_empty()))
    }

    /// A list of numbers that an operator takes as an operand, such as a shape.
    fn numbers(&self, call: &Call<'m>, slot: usize) -> Result<Vec<i64>> {
        let index = *call.inputs.get(slot).with_context(|| format!("operand {slot} is missing"))?;
        let numbers = self.stored_integers(index)?;
        Ok(numbers.with_context(|| format!("operand {slot} must be constant"))?.iter().copied().collect())
    }

    /// The value of a tensor; a constant is read when it is first asked for.
    fn value(&mut self, index: i32) -> Result<ValueId> {
        let place = usize::try_from(index).context("a tensor that is not there")?;
        if let Some(Some(value)) = self.values.get(place) {
            return Ok(*value);
        }
        let (name, shape) = (self.name(index), self.shape_of(index));
        let bytes = self.buffer(index)?.with_context(|| format!("{name} is read before it is computed"))?;
        let reals = match self.tensor(index)?.type_() {
            TensorType::FLOAT32 => Some(words(bytes).map(f32::from_le_bytes).collect()),
            TensorType::FLOAT16 => Some(halves(bytes)),
            _ => None,
        };
        let value = match (reals, self.grid(index)?) {
            (Some(reals), _) => self.graph.constant(name, ArrayD::from_shape_vec(IxDyn(&shape), reals)?),
            (None, Some(grid)) => {
                let stored = self.stored_integers(index)?.context("no constant")?;
                let narrow = |v: i64| i32::try_from(v).with_context(|| format!("{name}: {v} exceeds 32 bits"));
                let narrow = stored.iter().map(|&v| narrow(v)).collect::<Result<Vec<i32>>>()?;
                let stored = ArrayD::from_shape_vec(IxDyn(&shape), narrow)?;
                self.graph.integers(name.clone(), grid.integers(&stored).with_context(|| name.clone())?)
            }
            (None, None) => bail!("{name}: integers without a scale are no operand of this operator"),
        };
        self.set(index, value)?;
        Ok(value)
    }

    /// Operand `slot`.
    fn operand(&mut self, call: &Call<'m>, slot: usize) -> Result<ValueId> {
        let index = call.inputs.get(slot).copied().filter(|&i| i >= 0);
        self.value(index.with_context(|| format!("operand {slot} is missing"))?)
    }

    fn set(&mut self, index: i32, value: ValueId) -> Result<()> {
        let place = usize::try_from(index).context("a tensor that is not there")?;
        *self.values.get_mut(place).context("a tensor that is not there")? = Some(value);
        Ok(())
    }

    /// Appends a node.
    fn push(&mut self, name: &str, op: impl Into<Op>, inputs: &[ValueId]) -> Result<ValueId> {
        self.graph.push(name, op.into(), inputs)
    }

    /// The value under another shape.
    fn reshape(&mut self, name: &str, x: ValueId, shape: &[usize]) -> Result<ValueId> {
        if self.graph.value(x).shape == shape {
            return Ok(x);
        }
        self.push(name, crate::ops::reshape::Reshape { shape: shape.to_vec() }, &[x])
    }

    /// The value with the quantization of tensor `index`, if that has one.
    fn marked(&mut self, index: i32, value: ValueId) -> Result<ValueId> {
        let Some(grid) = self.grid(index)? else { return Ok(value) };
        let to = grid.params().with_context(|| self.name(index))?;
        self.push(&format!("{}/quantized", self.name(index)), Requantize { to: Some(to) }, &[value])
    }

    /// Makes `value` the result of the call: bounded as the operator says, in its shape, with its quantization.
    fn finish(&mut self, call: &Call<'m>, value: ValueId, activation: ActivationFunctionType) -> Result<()> {
        self.finish_output(call, 0, value, activation)
    }

    fn finish_output(
        &mut self,
        call: &Call<'m>,
        slot: usize,
        value: ValueId,
        activation: ActivationFunctionType,
    ) -> Result<()> {
        let index = *call.outputs.get(slot).context("a result is missing")?;
        let clamp = match activation {
            ActivationFunctionType::NONE => None,
            ActivationFunctionType::RELU => Some(Clamp::RELU),
            ActivationFunctionType::RELU6 => Some(Clamp { min: 0.0, max: 6.0 }),
            ActivationFunctionType::RELU_N1_TO_1 => Some(Clamp { min: -1.0, max: 1.0 }),
            other => bail!("the activation {other:?} is not supported"),
        };
        let value = match clamp {
            Some(clamp) => self.push(&format!("{}/activation", call.name), clamp, &[value])?,
            None => value,
        };
        let shape = self.shape_of(index);
        let found = &self.graph.value(value).shape;
        let same = found.iter().product::<usize>() == shape.iter().product::<usize>();
        ensure!(same, "the result has the shape {found:?} instead of {shape:?}");
        let value = self.reshape(&format!("{}/shape", call.name), value, &shape)?;
        let value = self.marked(index, value)?;
        self.set(index, value)
    }
}

/// The elements of a list that may be missing.
fn indices(list: Option<impl IntoIterator<Item = i32>>) -> Vec<i32> {
    list.map_or(Vec::new(), |l| l.into_iter().collect())
}

fn words(bytes: &[u8]) -> impl Iterator<Item = [u8; 4]> + '_ {
    bytes.chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]])
}

fn halves(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect()
}

/// An axis counted from behind if negative.
fn axis(axis: i64, rank: usize) -> Result<usize> {
    let from_front = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(from_front).ok().filter(|&a| a < rank).with_context(|| format!("axis {axis} of {rank}"))
}
