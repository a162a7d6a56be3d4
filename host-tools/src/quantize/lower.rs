//! What the lowering of every operator shares: tensors, constants, per-channel weights, fused activations.

use anyhow::{Context, Result, ensure};
use ndarray::ArrayD;
use teff::fixed::{Multiplier, Rounding};
use teff::format::DataType;
use teff::kernels::Element;
use teff::ops::{Limits, OpDef, S16, S32, by_id};
use zerocopy::{Immutable, IntoBytes};

use super::assign::Rule;
use super::params::{QuantParams, multiplier};
use crate::ir::{Graph, Integers, Kind, Node, Value, ValueId};
use crate::ops::clamp::Clamp;
use crate::program::{Content, PortSpec, Program, StepSpec, TensorId, TensorSpec};

/// Largest bias that is aimed at. The runtime's int8 accumulators take 2^30, of which half is left for the folded zero
/// point; in int16 there is none to fold, and the accumulators take every bias.
fn max_bias(data_type: DataType) -> f64 {
    f64::from(if data_type == DataType::I8 { 1_u32 << 29 } else { 1 << 30 })
}

/// How an operator of the IR becomes a step of the runtime.
pub trait Lower {
    /// Where the quantization of its output comes from.
    fn rule(&self) -> Rule {
        Rule::Calibrated
    }

    /// Whether the runtime has it in int16, as it should; if not, what it reads is narrowed to int8.
    fn has_int16(&self) -> bool {
        true
    }

    /// The operand whose values the output must hold too, beside its own: the state in which a recurrence begins.
    fn covers(&self) -> Option<usize> {
        None
    }

    /// Appends its steps to `cx.program`.
    ///
    /// # Errors
    /// If the runtime cannot do this node; the message says why and what to do.
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()>;
}

/// The node being lowered, and the program that grows.
pub struct Lowering<'g> {
    graph: &'g Graph,
    quant: &'g [Option<QuantParams>],
    node: &'g Node,
    tensor_of: Vec<Option<TensorId>>,
    program: Program,
}

/// Lowers every node of `graph`.
///
/// # Errors
/// If the runtime cannot do a node; the message names it.
pub fn lower(graph: &Graph, quant: &[Option<QuantParams>]) -> Result<Program> {
    let first = graph.nodes.first().context("the model computes nothing: its outputs are its inputs or constants")?;
    let mut cx =
        Lowering { graph, quant, node: first, tensor_of: vec![None; graph.values.len()], program: Program::default() };
    let port = |cx: &mut Lowering<'_>, p: &crate::ir::Port| -> Result<PortSpec> {
        Ok(PortSpec { tensor: cx.activation(p.value)?, name: p.name.clone(), perm: p.perm.clone() })
    };
    cx.program.inputs = graph.inputs.iter().map(|p| port(&mut cx, p)).collect::<Result<_>>()?;
    for state in &graph.states {
        let [before, after] = [state.input.value, state.output.value];
        let tensor = cx.activation(before)?;
        cx.program.tensors[tensor.0].content = Content::State;
        // The last step that has to do with it writes it: its readers come before.
        cx.tensor_of[after.0] = Some(tensor);
    }
    for node in &graph.nodes {
        cx.node = node;
        node.op.lower(&mut cx).with_context(|| format!("node {} ({})", node.name, node.op.name()))?;
    }
    for p in &graph.outputs {
        let name = &p.name;
        ensure!(graph.data(p.value).is_none(), "output {name} is a constant: remove it from the model's outputs");
        let computed = graph.nodes.iter().any(|n| n.outputs.contains(&p.value));
        ensure!(computed, "output {name} is an input of the model: remove it from the model's outputs");
    }
    cx.program.outputs = graph.outputs.iter().map(|p| port(&mut cx, p)).collect::<Result<_>>()?;
    Ok(cx.program)
}

/// Factors and sums of one convolution or fully connected layer, ready for the file.
pub struct PerChannelWeights {
    /// int8 weights, symmetric, in the order of the float weights.
    pub weights: Vec<i8>,
    /// Bias, multiplier and shift tensors: the operands that follow the weights.
    pub requant: [TensorId; 3],
}

impl<'g> Lowering<'g> {
    /// Number of operands of the node.
    pub fn operand_count(&self) -> usize {
        self.node.inputs.len()
    }

    fn operand(&self, slot: usize) -> Result<ValueId> {
        self.node.inputs.get(slot).copied().with_context(|| format!("operand {slot} is missing"))
    }

    /// Shape of operand `slot`.
    ///
    /// # Errors
    /// If there is none.
    pub fn shape(&self, slot: usize) -> Result<&'g [usize]> {
        Ok(&self.graph.value(self.operand(slot)?).shape)
    }

    /// Shape of the result.
    pub fn out_shape(&self) -> &'g [usize] {
        &self.graph.value(self.node.outputs[0]).shape
    }

    /// The type in which the node computes: int32 if its result is a real number of that type, int16 if an activation that it
    /// reads or writes is int16, else int8.
    pub fn data_type(&self) -> DataType {
        let y = self.node.outputs[0];
        if self.graph.value(y).kind == Kind::Real && self.quant[y.0].is_some_and(|q| q.data_type == DataType::I32) {
            return DataType::I32;
        }
        let mut values = self.node.inputs.iter().chain(&self.node.outputs);
        let is_wide = |id: &ValueId| self.quant[id.0].is_some_and(|quant| quant.data_type == DataType::I16);
        if values.any(is_wide) { DataType::I16 } else { DataType::I8 }
    }

    /// Scale and zero point of the result.
    ///
    /// # Errors
    /// If it has none.
    pub fn out_quant(&self) -> Result<QuantParams> {
        self.quant_of(self.node.outputs[0])
    }

    /// Scale and zero point of result `slot`.
    ///
    /// # Errors
    /// If there is none, or it has none.
    pub fn out_quant_of(&self, slot: usize) -> Result<QuantParams> {
        let output = self.node.outputs.get(slot).with_context(|| format!("result {slot} is missing"))?;
        self.quant_of(*output)
    }

    /// Scale and zero point of operand `slot`: assigned for an activation, the extremes for a constant.
    ///
    /// # Errors
    /// If it has none.
    pub fn quant(&self, slot: usize) -> Result<QuantParams> {
        let id = self.operand(slot)?;
        match self.graph.data(id) {
            Some(_) if self.graph.value(id).kind == Kind::Real => {
                constant_params(self.data_type(), self.graph.value(id)).context("no constant")
            }
            _ => self.quant_of(id),
        }
    }

    /// What the elements of operand `slot` are.
    ///
    /// # Errors
    /// If there is none.
    pub fn kind(&self, slot: usize) -> Result<Kind> {
        Ok(self.graph.value(self.operand(slot)?).kind)
    }

    fn quant_of(&self, id: ValueId) -> Result<QuantParams> {
        if self.graph.value(id).kind != Kind::Real {
            return Ok(QuantParams::of_kind(self.graph.value(id).kind));
        }
        let quant = self.quant.get(id.0).copied().flatten();
        quant.with_context(|| format!("{}: no quantization assigned", self.graph.value(id).name))
    }

    /// The float elements of the constant operand `slot`.
    ///
    /// # Errors
    /// If it is no constant.
    pub fn data(&self, slot: usize) -> Result<&'g ArrayD<f32>> {
        let id = self.operand(slot)?;
        let data = self.graph.data(id).map(|data| &**data);
        data.with_context(|| format!("{} must be a constant", self.graph.value(id).name))
    }

    /// The constant weights in operand `slot`, in their own order, with the integers behind them.
    ///
    /// # Errors
    /// If it is no constant.
    pub fn weights(&self, slot: usize) -> Result<Weights<'g>> {
        let id = self.operand(slot)?;
        let reals = self.data(slot)?.as_slice().context("weights are contiguous")?;
        let integers = self.graph.value(id).integers.as_ref();
        let integers = integers.and_then(|i| Some((i.q.as_slice()?, i.step.as_slice()?)));
        Ok(Weights { reals, integers })
    }

    /// The constant bias in operand `slot`, as the integers behind it say, if there are any.
    fn bias(&self, slot: usize) -> Result<Vec<f64>> {
        let integers = self.graph.value(self.operand(slot)?).integers.as_ref();
        let exact = integers.map(|i| i.q.iter().zip(&i.step).map(|(&q, &s)| f64::from(q) * f64::from(s)).collect());
        Ok(exact.unwrap_or(self.data(slot)?.iter().map(|&b| b.into()).collect()))
    }

    /// The tensor of operand `slot`: an activation, or a constant quantized with [`Lowering::quant`].
    ///
    /// # Errors
    /// If it has no quantization.
    pub fn x(&mut self, slot: usize) -> Result<TensorId> {
        let quant = self.quant(slot)?;
        self.x_as(slot, quant)
    }

    /// The tensor of operand `slot`; a constant is quantized with `quant`.
    ///
    /// # Errors
    /// If it has no quantization.
    pub fn x_as(&mut self, slot: usize, quant: QuantParams) -> Result<TensorId> {
        let id = self.operand(slot)?;
        let Some(data) = self.graph.data(id) else { return self.activation(id) };
        let value = self.graph.value(id);
        let (quant, bytes) = match value.kind {
            Kind::Real => (quant, quant.quantized(&**data)),
            kind => {
                let plain = QuantParams::of_kind(kind);
                let truth = |&v: &f32| if kind == Kind::Truth { f32::from(u8::from(v != 0.0)) } else { v };
                (plain, plain.quantized(&data.iter().map(truth).collect::<Vec<f32>>()))
            }
        };
        let (name, shape) = (value.name.clone(), data.shape().to_vec());
        Ok(self.program.tensor(TensorSpec { name, shape, quant, content: Content::Constant(bytes) }))
    }

    fn activation(&mut self, id: ValueId) -> Result<TensorId> {
        if let Some(known) = self.tensor_of[id.0] {
            return Ok(known);
        }
        let value = self.graph.value(id);
        let (name, shape) = (value.name.clone(), value.shape.clone());
        let quant = self.quant_of(id)?;
        let tensor = self.program.tensor(TensorSpec { name, shape, quant, content: Content::Arena });
        self.tensor_of[id.0] = Some(tensor);
        Ok(tensor)
    }

    /// Adds a constant tensor that belongs to this node.
    pub fn constant<T: IntoBytes + Immutable>(
        &mut self,
        role: &str,
        data_type: DataType,
        shape: &[usize],
        values: &[T],
    ) -> TensorId {
        let name = format!("{}/{role}", self.node.name);
        let content = Content::Constant(values.as_bytes().to_vec());
        let quant = QuantParams::plain(data_type);
        self.program.tensor(TensorSpec { name, shape: shape.to_vec(), quant, content })
    }

    /// Appends a step that writes the node's results: `op`, or its int16 or int32 form, if it has one and the node computes in
    /// that type.
    ///
    /// # Errors
    /// If the result has no quantization.
    pub fn step<P: IntoBytes + Immutable>(
        &mut self,
        op: &'static OpDef,
        inputs: &[TensorId],
        params: &P,
    ) -> Result<()> {
        let form = match self.data_type() {
            DataType::I16 => by_id(op.id + S16),
            DataType::I32 => by_id(op.id + S32),
            _ => None,
        };
        let op = form.unwrap_or(op);
        let outputs = self.node.outputs.iter().map(|&o| self.activation(o)).collect::<Result<Vec<_>>>()?;
        self.program.steps.push(StepSpec {
            name: self.node.name.clone(),
            op,
            inputs: inputs.to_vec(),
            outputs,
            params: params.as_bytes().to_vec(),
            apart: false,
            overlap: None,
            scratch_wish: 0,
        });
        Ok(())
    }

    /// Says that the output of the step just appended may overlap its first input, if it begins so many elements before it.
    pub fn may_overlap(&mut self, distance: Option<usize>) {
        let Some(step) = self.program.steps.last_mut() else { return };
        let data_type = step.inputs.first().map(|x| self.program.tensors[x.0].quant.data_type);
        step.overlap = distance.zip(data_type).map(|(elements, data_type)| elements * data_type.size());
    }

    /// Says that the output of the step just appended must not take the place of an input.
    pub fn keep_apart(&mut self) {
        if let Some(step) = self.program.steps.last_mut() {
            step.apart = true;
        }
    }

    /// Says that the step just appended is fastest with so many bytes of scratch memory.
    pub fn wish_scratch(&mut self, bytes: Option<usize>) {
        if let (Some(step), Some(bytes)) = (self.program.steps.last_mut(), bytes) {
            step.scratch_wish = bytes;
        }
    }

    /// The ends of the output range: the type's, or those of the fused activation.
    ///
    /// # Errors
    /// If the result has no quantization.
    pub fn limits(&self, clamp: Option<&Clamp>) -> Result<Limits> {
        let quant = self.out_quant()?;
        if quant.data_type == DataType::I32 {
            ensure!(clamp.is_none(), "an activation is fused into what gives int32: a bug");
            return Ok(Limits { min: i16::MIN, max: i16::MAX });
        }
        let (min, max) =
            clamp.map_or_else(|| quant.data_type.range(), |c| (quant.quantize(c.min), quant.quantize(c.max)));
        Ok(Limits { min: i16::try_from(min)?, max: i16::try_from(max)? })
    }

    /// Two positive factors that are as these scales, each below 2^31; equal ones for equal scales.
    pub fn like_scales(&self, scales: [f32; 2]) -> [i32; 2] {
        let largest = f64::from(scales[0].max(scales[1]));
        let shift = (30.0 - largest.log2().floor()).exp2();
        scales.map(|scale| (f64::from(scale) * shift).round().clamp(1.0, f64::from(i32::MAX)) as i32)
    }

    /// `real` as a fixed-point factor.
    ///
    /// # Errors
    /// If it is too large.
    pub fn multiplier(&self, real: f64) -> Result<Multiplier> {
        multiplier(real).with_context(|| format!("scale factor {real:e} is out of range: calibrate with other samples"))
    }

    /// Whether the result is rounded as TensorFlow Lite does: an int8 result whose scale a model for it prescribes.
    pub fn rounds_as_tflite(&self) -> bool {
        let pinned = self.node.outputs.iter().any(|&o| self.graph.value(o).pin.is_some());
        self.graph.rounding == Rounding::TfLite && pinned && self.data_type() == DataType::I8
    }

    /// [`Lowering::multiplier`], with the rounding that the model asks for.
    ///
    /// # Errors
    /// If it is too large.
    pub fn rounded(&self, real: f64) -> Result<Multiplier> {
        let factor = self.multiplier(real)?;
        Ok(if self.rounds_as_tflite() { factor.as_tflite() } else { factor })
    }

    /// Quantizes the weights of `channels` output channels symmetrically, each by its own scale, and folds bias and
    /// input zero point into one i32 a channel. A channel of integers that fit in 8 bits keeps them and their scale; so
    /// does the bias, wherever its scale is the product of the two others.
    ///
    /// `channel_of` gives the output channel of a weight's index; `bias` is the operand slot of the bias, if any.
    ///
    /// # Errors
    /// If a factor is out of range, or the bias has another length.
    pub fn per_channel<'w>(
        &mut self,
        w: impl Into<Weights<'w>>,
        channels: usize,
        channel_of: impl Fn(usize) -> usize,
        bias: Option<usize>,
    ) -> Result<PerChannelWeights> {
        let (x, y) = (self.quant(0)?, self.out_quant()?);
        let w = w.into();
        let bias = match bias {
            Some(slot) => self.bias(slot)?,
            None => vec![0.0; channels],
        };
        ensure!(bias.len() == channels, "{} biases for {channels} channels", bias.len());
        let mut largest = vec![0_f64; channels];
        let (mut total, mut count) = (vec![0_f64; channels], vec![0_f64; channels]);
        for i in 0..w.len() {
            let (c, size) = (channel_of(i), w.real(i).abs());
            largest[c] = largest[c].max(size);
            total[c] += size;
            count[c] += 0.5;
        }
        if x.data_type == DataType::I32 {
            // The sum of a channel's weights stays within the runtime's bound, however they are rounded.
            for (largest, (total, half)) in largest.iter_mut().zip(total.iter().zip(&count)) {
                let room = f64::from(<i32 as Element>::MAX_WEIGHTS) - half;
                ensure!(room > 0.0, "{:.0} weights of an output are too many for int32", 2.0 * half);
                *largest = largest.max(127.0 * total / room);
            }
        }
        let x_scale = f64::from(x.scale);
        // Weights fill [-127, 127], unless the bias would then be too large for the accumulator.
        let smallest: Vec<f64> = bias.iter().map(|bias| bias.abs() / (x_scale * max_bias(x.data_type))).collect();
        let scale = |(largest, smallest): (&f64, &f64)| {
            let scale = (largest / 127.0).max(*smallest);
            // Where all weights are 0, any scale will do: one whose factor is as usual.
            if scale > 0.0 { scale } else { f64::from(y.scale) / x_scale / 1024.0 }
        };
        let mut scales: Vec<f64> = largest.iter().zip(&smallest).map(scale).collect();
        for (c, exact) in w.steps(channels, &channel_of).into_iter().enumerate() {
            if let Some(exact) = exact.filter(|&e| e >= smallest[c]) {
                scales[c] = exact;
            }
        }
        let quantized = |i: usize| (w.real(i) / scales[channel_of(i)]).round().clamp(-128.0, 127.0);
        let weights: Vec<i8> = (0..w.len()).map(|i| quantized(i) as i8).collect();
        let mut sums = vec![0_i64; channels];
        weights.iter().enumerate().for_each(|(i, &q)| sums[channel_of(i)] += i64::from(q));
        let folded = |c: usize| {
            let exact = (bias[c] / (x_scale * scales[c])).round() as i64;
            i32::try_from(exact - i64::from(x.zero_point) * sums[c]).context("a bias is too large for 32 bits")
        };
        let folded = (0..channels).map(folded).collect::<Result<Vec<i32>>>()?;
        let factors = scales.iter().map(|s| self.rounded(x_scale * s / f64::from(y.scale)));
        let factors = factors.collect::<Result<Vec<_>>>()?;
        let mult: Vec<i32> = factors.iter().map(|m| m.mult).collect();
        let shift: Vec<u8> = factors.iter().map(|m| m.shift).collect();
        let requant = [
            self.constant("bias", DataType::I32, &[channels], &folded),
            self.constant("mult", DataType::I32, &[channels], &mult),
            self.constant("shift", DataType::U8, &[channels], &shift),
        ];
        Ok(PerChannelWeights { weights, requant })
    }
}

/// The weights of a layer.
pub struct Weights<'w> {
    /// Real numbers, in any order.
    pub reals: &'w [f32],
    /// The integers behind them and their steps, in the same order.
    pub integers: Option<(&'w [i32], &'w [f32])>,
}

impl<'w> From<&'w [f32]> for Weights<'w> {
    fn from(reals: &'w [f32]) -> Self {
        Self { reals, integers: None }
    }
}

impl Weights<'_> {
    fn len(&self) -> usize {
        self.reals.len()
    }

    fn real(&self, i: usize) -> f64 {
        match self.integers {
            Some((q, step)) => f64::from(q[i]) * f64::from(step[i]),
            None => self.reals[i].into(),
        }
    }

    /// The step of each channel whose integers have one step and fit in 8 bits.
    fn steps(&self, channels: usize, channel_of: impl Fn(usize) -> usize) -> Vec<Option<f64>> {
        let Some((q, step)) = self.integers else { return vec![None; channels] };
        let mut steps: Vec<Option<f64>> = vec![None; channels];
        let mut fits = vec![true; channels];
        for (i, (&q, &step)) in q.iter().zip(step).enumerate() {
            let (c, step) = (channel_of(i), f64::from(step));
            fits[c] &= i8::try_from(q).is_ok() && steps[c].is_none_or(|s| s == step);
            steps[c] = Some(step);
        }
        steps.into_iter().zip(fits).map(|(step, fits)| step.filter(|_| fits)).collect()
    }
}

/// The quantization of a constant of this type: in int8 that of the integers behind it, if it has one, else one that its
/// extremes fill.
pub(super) fn constant_params(data_type: DataType, value: &Value) -> Option<QuantParams> {
    let data = value.constant.as_ref()?;
    let integers = value.integers.as_ref().filter(|_| data_type == DataType::I8);
    Some(integers.and_then(|integers| stored(integers)).unwrap_or_else(|| extremes(data_type, data)))
}

/// How integers of one step are stored in int8, if they can: with zero point 0, if they fit.
fn stored(integers: &Integers) -> Option<QuantParams> {
    let scale = integers.uniform_step()?;
    let (min, max) = integers.q.iter().fold((0, 0), |(min, max), &q| (q.min(min), q.max(max)));
    let zero_point = if min >= -128 && max <= 127 { 0 } else { -128 - min };
    (max + zero_point <= 127).then_some(QuantParams::int8(scale, zero_point))
}

fn extremes(data_type: DataType, data: &ArrayD<f32>) -> QuantParams {
    let (min, max) = data.iter().fold((0_f32, 0_f32), |(min, max), &v| (min.min(v), max.max(v)));
    QuantParams::over(data_type, min, max)
}

/// An attribute as the file holds it.
///
/// # Errors
/// If it does not fit in 16 bits.
pub fn small(value: usize) -> Result<u16> {
    u16::try_from(value).with_context(|| format!("attribute {value} is larger than 65535"))
}

/// Several attributes as the file holds them.
///
/// # Errors
/// If one does not fit in 16 bits.
pub fn smalls<const N: usize>(values: [usize; N]) -> Result<[u16; N]> {
    let mut out = [0; N];
    for (to, value) in out.iter_mut().zip(values) {
        *to = small(value)?;
    }
    Ok(out)
}
