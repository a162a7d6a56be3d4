//! The steps of a language model: for each entry point the embedding, the blocks, the logits; over the same weights
//! and the same state.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use ndarray::Array1;
use teff::fixed::inverse_sqrt;
use teff::format::DataType;
use teff::kernels::attention::Rope;
use teff::kernels::row_linear::GATE_LEN;
use teff::kernels::rows::{HEADER, WIDE_FRACTION_BITS};
use teff::ops::{self, OpDef, attention, embedding, mlp_up, row_linear, row_norm, rows::Matrix};
use zerocopy::{Immutable, IntoBytes};

use super::network::{ActivationKind, Architecture, Norm, NormKind};
use super::quantize::Quantized;
use crate::program::{Content, EntrySpec, PortSpec, Program, StepSpec, TensorId, TensorSpec};
use crate::quantize::QuantParams;

/// A block with quantized weights.
#[derive(Debug, Clone)]
pub struct QuantizedLayer {
    /// γ before attention.
    pub attention_norm: Norm,
    /// Queries (times log2(e)/√head_dim), keys, values.
    pub qkv: Quantized,
    /// What is taken from keys before they are cached: `(kv_heads · head_dim)`.
    pub centre: Option<Array1<f32>>,
    /// Output of attention.
    pub output: Quantized,
    /// γ before the MLP.
    pub mlp_norm: Norm,
    /// Gate and value rows in turn, or the only rows.
    pub up: Quantized,
    /// Whether `up` has gate rows.
    pub gated: bool,
    /// Second half of the MLP.
    pub down: Quantized,
}

/// A model with quantized weights.
#[derive(Debug, Clone)]
pub struct QuantizedNetwork {
    /// Sizes and kinds.
    pub architecture: Architecture,
    /// `(vocabulary, dim)`, 8 bits a weight.
    pub embedding: Quantized,
    /// The blocks.
    pub layers: Vec<QuantizedLayer>,
    /// γ before the logits.
    pub final_norm: Norm,
    /// The logits; `None`: the embedding serves.
    pub head: Option<Quantized>,
    /// What is added to the logits where the embedding serves: `(vocabulary)` wide.
    pub tied_bias: Option<Vec<i32>>,
}

/// What of the file is chosen, beside the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Bits of activations: 16 or 8.
    pub activations: u32,
    /// Slots of the cache.
    pub context: usize,
    /// Rows that stay when the cache slides; `None`: it ends when full.
    pub sinks: Option<usize>,
    /// Tokens of the prefill entry point.
    pub prefill: usize,
    /// Tokens of the entry point that verifies a draft; 0: none.
    pub verify: usize,
}

/// Names of the entry points.
pub use teff::lm::{DECODE, PREFILL, VERIFY};

/// Builds the program.
///
/// # Errors
/// If a size is beyond the runtime's.
pub fn program(network: &QuantizedNetwork, layout: &Layout) -> Result<Program> {
    ensure!(layout.context.is_multiple_of(4), "the context must be a multiple of 4");
    ensure!(matches!(layout.activations, 8..=16), "activations have 8 to 16 bits");
    let mut b = Builder { program: Program::default(), constants: HashMap::new(), network, layout, caches: Vec::new() };
    for layer in 0..network.layers.len() {
        let cache = b.cache(layer);
        b.caches.push(cache);
    }
    b.entry(DECODE, 1, Result_::Logits)?;
    b.entry(PREFILL, layout.prefill, Result_::Nothing)?;
    if layout.verify > 0 {
        b.entry(VERIFY, layout.verify, Result_::Tokens)?;
    }
    Ok(b.program)
}

/// What an entry point gives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Result_ {
    Logits,
    Nothing,
    Tokens,
}

struct Builder<'n> {
    program: Program,
    /// Constants by name: entry points share them.
    constants: HashMap<String, TensorId>,
    network: &'n QuantizedNetwork,
    layout: &'n Layout,
    /// Keys, values, scales of each layer.
    caches: Vec<[TensorId; 3]>,
}

/// Groups of heads with scales of their own for values in the cache: more cost memory and were found to gain nothing. Keys,
/// whose errors count for more, have a scale for each head.
const VALUE_GROUPS: usize = 1;

impl Builder<'_> {
    fn tensor(&mut self, name: String, data_type: DataType, shape: &[usize], scale: f32, content: Content) -> TensorId {
        let quant = QuantParams { scale, ..QuantParams::plain(data_type) };
        self.program.tensor(TensorSpec { name, shape: shape.to_vec(), quant, content })
    }

    fn wide(&mut self, name: String, rows: usize, len: usize) -> TensorId {
        let scale = (-f32::from(WIDE_FRACTION_BITS as u8)).exp2();
        self.tensor(name, DataType::I32, &[rows, len], scale, Content::Arena)
    }

    /// A narrow row for matrix `reader`: as many bits as asked for, unless its sums would overflow.
    fn narrow(&mut self, name: String, rows: usize, reader: &Quantized) -> Result<TensorId> {
        let bits = bits_for(reader, self.layout.activations)
            .with_context(|| format!("{name}: rows of {} are too long", reader.inputs))?;
        let scale = (1.0 - bits as f32).exp2();
        Ok(self.tensor(name, DataType::I16, &[rows, HEADER + reader.inputs], scale, Content::Arena))
    }

    fn constant<T: IntoBytes + Immutable>(
        &mut self,
        name: String,
        data_type: DataType,
        shape: &[usize],
        values: &[T],
    ) -> TensorId {
        if let Some(&known) = self.constants.get(&name) {
            return known;
        }
        let id = self.tensor(name.clone(), data_type, shape, 1.0, Content::Constant(values.as_bytes().to_vec()));
        self.constants.insert(name, id);
        id
    }

    fn step(&mut self, name: String, op: &'static OpDef, inputs: Vec<TensorId>, output: TensorId, params: &[u8]) {
        self.program.steps.push(StepSpec {
            name,
            op,
            inputs,
            outputs: vec![output],
            params: params.to_vec(),
            apart: false,
            overlap: None,
            scratch_wish: 0,
        });
    }

    fn cache(&mut self, layer: usize) -> [TensorId; 3] {
        let (a, context) = (&self.network.architecture, self.layout.context);
        let (heads, dim) = (a.kv_heads, a.head_dim);
        let mut state = |what: &str, data_type, shape: &[usize]| {
            self.tensor(format!("layers.{layer}.cache.{what}"), data_type, shape, 1.0, Content::State)
        };
        [
            state("keys", DataType::I8, &[context, heads, dim]),
            state("values", DataType::I8, &[heads, dim, context]),
            state("scales", DataType::U8, &[heads + VALUE_GROUPS, context]),
        ]
    }

    /// The constants of a matrix, and its parameters.
    fn matrix(&mut self, name: &str, q: &Quantized) -> (Vec<TensorId>, row_linear::Params) {
        let row = q.inputs * q.width.bits as usize / 8;
        let mut ids = vec![self.constant(format!("{name}.weight"), DataType::U8, &[q.outputs, row], &q.data)];
        if let Some(groups) = q.inputs.checked_div(q.width.group) {
            ids.push(self.constant(format!("{name}.scales"), DataType::I8, &[q.outputs, groups], &q.scales));
        }
        ids.push(self.constant(format!("{name}.mult"), DataType::I32, &[q.outputs], &q.mult));
        if let Some(bias) = &q.bias {
            ids.push(self.constant(format!("{name}.bias"), DataType::I32, &[q.outputs], bias));
        }
        let matrix = Matrix { group: q.width.group as u16, bits: q.width.bits as u8, shift: q.shift };
        (ids, row_linear::Params { matrix, biased: q.bias.is_some().into(), reserved: [0; 3] })
    }

    fn linear(
        &mut self,
        at: &str,
        name: &str,
        q: &Quantized,
        x: TensorId,
        rows: usize,
        residual: Option<TensorId>,
    ) -> TensorId {
        let (matrix, params) = self.matrix(name, q);
        let out = self.wide(format!("{at}{name}"), rows, q.outputs);
        let op = if residual.is_some() { &ops::ROW_LINEAR_ADD } else { &ops::ROW_LINEAR };
        let inputs = [x].into_iter().chain(residual).chain(matrix).collect();
        self.step(format!("{at}{name}"), op, inputs, out, params.as_bytes());
        out
    }

    fn norm(
        &mut self,
        at: &str,
        name: &str,
        norm: &Norm,
        x: TensorId,
        rows: usize,
        reader: &Quantized,
    ) -> Result<TensorId> {
        let a = &self.network.architecture;
        let (len, epsilon, centred) = (a.dim, a.epsilon, a.norm == NormKind::Layer);
        let max = norm.gamma.iter().fold(1e-6_f32, |m, g| m.max(g.abs()));
        let gamma_shift = f64::from(32_767.0 / max).log2().floor();
        let gamma: Vec<i16> = norm.gamma.iter().map(|g| (f64::from(*g) * gamma_shift.exp2()).round() as i16).collect();
        let gamma = self.constant(format!("{name}.gamma"), DataType::I16, &[len], &gamma);
        // √n = n / √n, normalised.
        let root = inverse_sqrt(len as u64);
        let exact = f64::from(root.mult) * len as f64;
        let up = (f64::from(i32::MAX) / exact).log2().floor();
        let params = row_norm::Params {
            epsilon: (epsilon * len as f64 * 4_294_967_296.0).round() as u32,
            mult: (exact * up.exp2()).round() as i32,
            shift: (f64::from(root.shift) + up + gamma_shift) as i16,
            centred: centred.into(),
            reserved: 0,
        };
        let out = self.narrow(format!("{at}{name}"), rows, reader)?;
        ensure!(
            reader.inputs == len,
            "{name}: rows of {len} elements cannot be read by words or groups of {}",
            reader.inputs
        );
        self.step(format!("{at}{name}"), &ops::ROW_NORM, vec![x, gamma], out, params.as_bytes());
        Ok(out)
    }

    fn attention(&mut self, at: &str, layer: usize, x: TensorId, position: TensorId, rows: usize) -> Result<TensorId> {
        let (network, layout) = (self.network, self.layout);
        let a = &network.architecture;
        let name = format!("{at}layers.{layer}.attention");
        let rotary = 2 * a.frequencies.len();
        let rope = match a.rope {
            _ if rotary == 0 => 0,
            Rope::None => 0,
            Rope::Half => 1,
            Rope::Interleaved => 2,
        };
        let centre = network.layers[layer].centre.as_ref();
        let params = attention::Params {
            heads: a.heads as u16,
            kv_heads: a.kv_heads as u16,
            head_dim: a.head_dim as u16,
            rotary: rotary as u16,
            context: layout.context.try_into().context("the context is longer than 32768")?,
            sinks: layout.sinks.map_or(attention::FULL, |s| s as u16),
            rope,
            groups: a.kv_heads.try_into().context("more than 255 key heads")?,
            value_groups: VALUE_GROUPS as u8,
            centred: centre.is_some().into(),
        };
        let mut inputs = vec![x, position];
        if rope > 0 {
            let turns: Vec<i16> = (0..layout.context)
                .flat_map(|p| {
                    a.frequencies.iter().flat_map(move |f| {
                        let (sin, cos) = (p as f64 * f).sin_cos();
                        [cos, sin].map(|v| (v * 32_768.0).round().clamp(-32_767.0, 32_767.0) as i16)
                    })
                })
                .collect();
            inputs.push(self.constant("turns".into(), DataType::I16, &[layout.context, rotary], &turns));
        }
        if let Some(centre) = centre {
            let wide: Vec<i32> = centre.iter().map(|&c| wide(c)).collect();
            let shape = [a.kv_heads, a.head_dim];
            inputs.push(self.constant(format!("layers.{layer}.attention.centre"), DataType::I32, &shape, &wide));
        }
        inputs.extend(self.caches[layer]);
        let reader = &network.layers[layer].output;
        ensure!(
            reader.inputs == a.q_dim(),
            "attention output: {} elements cannot be read by words or groups",
            a.q_dim()
        );
        let out = self.narrow(name.clone(), rows, reader)?;
        self.step(name, &ops::ATTENTION, inputs, out, params.as_bytes());
        Ok(out)
    }

    fn mlp(&mut self, at: &str, index: usize, x: TensorId, residual: TensorId, rows: usize) -> Result<TensorId> {
        let network = self.network;
        let layer = &network.layers[index];
        let name = format!("layers.{index}.mlp.up");
        let (mut inputs, matrix) = self.matrix(&name, &layer.up);
        inputs.insert(0, x);
        let kind = network.architecture.activation;
        let activation = match kind {
            ActivationKind::Silu | ActivationKind::Gelu | ActivationKind::GeluTanh => {
                let entry = |i: usize| (kind.gate(i as f64 / 32.0) * 32_768.0).round().min(32_767.0) as i16;
                let table: Vec<i16> = (0..GATE_LEN).map(entry).collect();
                inputs.push(self.constant("gate".into(), DataType::I16, &[GATE_LEN], &table));
                mlp_up::GATE
            }
            ActivationKind::Relu => mlp_up::RELU,
            ActivationKind::SquaredRelu => mlp_up::SQUARED_RELU,
        };
        let params = mlp_up::Params {
            matrix: matrix.matrix,
            biased: matrix.biased,
            activation,
            gated: layer.gated.into(),
            reserved: 0,
        };
        let hidden = self.narrow(format!("{at}{name}"), rows, &layer.down)?;
        self.step(format!("{at}{name}"), &ops::MLP_UP, inputs, hidden, params.as_bytes());
        Ok(self.linear(at, &format!("layers.{index}.mlp.down"), &layer.down, hidden, rows, Some(residual)))
    }

    fn entry(&mut self, name: &str, rows: usize, result: Result_) -> Result<()> {
        ensure!(rows > 0, "entry point {name} takes no tokens");
        let network = self.network;
        let (first_step, first_output) = (self.program.steps.len(), self.program.outputs.len());
        let at = if name == DECODE { String::new() } else { format!("{name}.") };
        let ids = self.tensor(format!("{at}ids"), DataType::I32, &[rows], 1.0, Content::Arena);
        let position = self.tensor(format!("{at}position"), DataType::I32, &[1], 1.0, Content::Arena);
        for (tensor, name) in [(ids, "input_ids"), (position, "position")] {
            self.program.inputs.push(PortSpec { tensor, name: name.into(), perm: None });
        }
        let (embedding, params) = self.matrix("embedding", &network.embedding);
        let mut x = self.wide(format!("{at}embedding"), rows, network.architecture.dim);
        let params = embedding::Params { shift: params.matrix.shift, reserved: [0; 3] };
        let inputs = [ids].into_iter().chain(embedding).collect();
        self.step(format!("{at}embedding"), &ops::EMBEDDING, inputs, x, params.as_bytes());
        for (i, layer) in network.layers.iter().enumerate() {
            let normed =
                self.norm(&at, &format!("layers.{i}.attention.norm"), &layer.attention_norm, x, rows, &layer.qkv)?;
            let qkv = self.linear(&at, &format!("layers.{i}.attention.qkv"), &layer.qkv, normed, rows, None);
            let attended = self.attention(&at, i, qkv, position, rows)?;
            // Prefill ends with the last cache: what follows would reach nothing.
            if result == Result_::Nothing && i + 1 == network.layers.len() {
                break;
            }
            x = self.linear(&at, &format!("layers.{i}.attention.output"), &layer.output, attended, rows, Some(x));
            let normed = self.norm(&at, &format!("layers.{i}.mlp.norm"), &layer.mlp_norm, x, rows, &layer.up)?;
            x = self.mlp(&at, i, normed, x, rows)?;
        }
        if result != Result_::Nothing {
            let tied =
                network.tied_bias.clone().map(|bias| Quantized { bias: Some(bias), ..network.embedding.clone() });
            let tied = tied.as_ref().unwrap_or(&network.embedding);
            let (head_name, head) = network.head.as_ref().map_or(("embedding", tied), |h| ("logits", h));
            let normed = self.norm(&at, "final_norm", &network.final_norm, x, rows, head)?;
            let mut tensor = self.linear(&at, head_name, head, normed, rows, None);
            let mut name = "logits";
            if result == Result_::Tokens {
                name = "tokens";
                let tokens = self.tensor(format!("{at}tokens"), DataType::I32, &[rows], 1.0, Content::Arena);
                self.step(format!("{at}tokens"), &ops::ARGMAX_ROWS, vec![tensor], tokens, &[]);
                tensor = tokens;
            }
            self.program.outputs.push(PortSpec { tensor, name: name.into(), perm: None });
        }
        self.program.entries.push(EntrySpec {
            name: name.into(),
            steps: self.program.steps.len() - first_step,
            inputs: 2,
            outputs: self.program.outputs.len() - first_output,
        });
        Ok(())
    }
}

/// A wide value below 2^30.
pub(super) fn wide(x: f32) -> i32 {
    let limit = f64::from((1 << 30) - 1);
    (f64::from(x) * f64::from(1 << WIDE_FRACTION_BITS)).round().clamp(-limit, limit) as i32
}

/// The most bits, up to `wanted`, at which no sum of the matrix leaves 32 bits: the bound that the runtime checks.
fn bits_for(q: &Quantized, wanted: u32) -> Option<u32> {
    let largest = match q.width.bits {
        8 => 128_u64,
        4 => 8,
        _ => 3,
    };
    let sum = match q.width.group {
        0 => q.inputs as u64,
        group => {
            let row = |scales: &[i8]| scales.iter().map(|s| u64::from(s.unsigned_abs())).sum::<u64>() * group as u64;
            q.scales.chunks(q.inputs / group).map(row).max().unwrap_or(0)
        }
    };
    (8..=wanted).rev().find(|bits| sum * (largest << (bits - 1)) < 1 << 31)
}
