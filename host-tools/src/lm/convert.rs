//! The whole conversion of a language model: calibrate and quantize matrix by matrix, lay out, verify.

use anyhow::{Context, Result, ensure};
use ndarray::{Array1, Array2, s};
use zerocopy::IntoBytes;

use super::equalize::equalized;
use super::float::{activate, attend, gram, interleaved, interleaved_bias, linear, norm};
use super::network::{Layer, Linear, Network, Norm};
use super::program::{Layout, QuantizedLayer, QuantizedNetwork, program};
use super::quantize::{Quantized, Rounding, Width, quantize};
use crate::emit::{self, Emitted, Extras};

/// What the user chooses.
#[derive(Debug, Clone)]
pub struct Options {
    /// Weights of all matrices but the embedding and the logits, which have 8 bits and a scale a row.
    pub weights: Width,
    /// Other widths for matrices whose name contains a text, such as `layers.0.` or `mlp.down`; the last that fits
    /// counts.
    pub widths: Vec<(String, Width)>,
    /// How weights are rounded.
    pub rounding: Rounding,
    /// Activations, cache, entry points.
    pub layout: Layout,
    /// Keys and values for the file.
    pub metadata: Vec<(String, String)>,
    /// The tokenizer section; empty: none.
    pub tokenizer: Vec<u8>,
    /// Whether steps and tensors keep their names in the file.
    pub debug_names: bool,
}

/// The width of embedding and logits.
const ROWS_OF_8: Width = Width { bits: 8, group: 0 };

/// Most tokens that calibration looks at.
pub const CALIBRATION_TOKENS: usize = 16_384;

/// Converts `network`, calibrated on `texts` (tokens of documents); without any, weights are rounded to the nearest.
/// `tick` is called once a layer.
///
/// # Errors
/// If the network is not sound, or beyond the runtime's sizes.
pub fn convert(network: &Network, texts: &[Vec<u32>], options: &Options, tick: &dyn Fn()) -> Result<Emitted> {
    network.check()?;
    let quantized = quantize_network(network, texts, options, tick)?;
    let program = program(&quantized, &options.layout)?;
    let mut sections = Vec::new();
    if !options.tokenizer.is_empty() {
        sections.push((teff::format::layout::section::TOKENIZER, options.tokenizer.clone()));
    }
    // Token 1 (or 0) at position 0.
    let ids = [i32::from(network.architecture.vocabulary > 1), 0];
    let extras = Extras {
        metadata: options.metadata.clone(),
        debug_names: options.debug_names,
        self_test_input: Some(ids.as_bytes().to_vec()),
        sections,
    };
    emit::emit(&program, &extras)
}

/// Quantizes every matrix in the order of the computation, each calibrated on what it sees behind the quantized ones
/// before it.
///
/// # Errors
/// If a weight is not finite, or a width is not one of the runtime's.
pub fn quantize_network(
    network: &Network,
    texts: &[Vec<u32>],
    options: &Options,
    tick: &dyn Fn(),
) -> Result<QuantizedNetwork> {
    let a = &network.architecture;
    ensure!(
        texts.iter().flatten().all(|&t| (t as usize) < a.vocabulary),
        "the calibration text has tokens beyond the vocabulary"
    );
    let embedding = quantize(&network.embedding, None, None, ROWS_OF_8, Rounding::Nearest).context("embedding")?;
    ensure!(embedding.inputs == a.dim, "rows of {} elements: a multiple of 4 is wanted", a.dim);
    let mut real = network.clone();
    real.embedding = embedding.real.clone();
    let mut left = CALIBRATION_TOKENS;
    let sequence = |tokens: &Vec<u32>| {
        let tokens = &tokens[..tokens.len().min(left).min(a.context)];
        left -= tokens.len();
        (!tokens.is_empty()).then(|| super::float::embed(&real, tokens))
    };
    let mut calibration = Calibration { network, options, rows: texts.iter().map_while(sequence).collect() };
    let mut layers = Vec::new();
    for (i, layer) in network.layers.iter().enumerate() {
        layers.push(calibration.layer(i, layer).with_context(|| format!("layer {i}"))?);
        tick();
    }
    let head = network.head.as_ref().map(|head| {
        let (head, _) = with_beta(head, &network.final_norm);
        quantize(&head.weight, head.bias.as_ref(), None, ROWS_OF_8, Rounding::Nearest)
    });
    ensure!(
        head.is_some() || network.final_norm.beta.is_none(),
        "a final LayerNorm with bias needs logits of their own"
    );
    let head = head.transpose()?;
    Ok(QuantizedNetwork { architecture: a.clone(), embedding, layers, final_norm: network.final_norm.clone(), head })
}

/// The residual streams of the calibration texts, as far as the network has been quantized.
struct Calibration<'n> {
    network: &'n Network,
    options: &'n Options,
    rows: Vec<Array2<f32>>,
}

impl Calibration<'_> {
    fn width(&self, name: &str) -> Width {
        let own = self.options.widths.iter().rev().find(|(part, _)| name.contains(part.as_str()));
        own.map_or(self.options.weights, |(_, width)| *width)
    }

    fn quantize(&self, name: &str, l: &Linear, inputs: &[Array2<f32>]) -> Result<Quantized> {
        let gram = inputs.iter().map(gram).reduce(|a, b| a + b);
        let rounding = if gram.is_some() { self.options.rounding } else { Rounding::Nearest };
        quantize(&l.weight, l.bias.as_ref(), gram.as_ref(), self.width(name), rounding)
            .with_context(|| name.to_string())
    }

    fn layer(&mut self, index: usize, layer: &Layer) -> Result<QuantizedLayer> {
        let a = &self.network.architecture;
        let name = |part: &str| format!("layers.{index}.{part}");
        let each = |rows: &[Array2<f32>], f: &dyn Fn(&Array2<f32>) -> Array2<f32>| -> Vec<Array2<f32>> {
            rows.iter().map(f).collect()
        };

        let normed = each(&self.rows, &|x| norm(a, &layer.attention_norm, x));
        let layer = &equalized(a, layer, &normed);
        let (mut qkv, plain_norm) = with_beta(&layer.qkv, &layer.attention_norm);
        let normed = each(&self.rows, &|x| norm(a, &plain_norm, x));
        let factor = std::f32::consts::LOG2_E / (a.head_dim as f32).sqrt();
        scale_rows(&mut qkv, a.q_dim(), factor);
        let quantized_qkv = self.quantize(&name("attention.qkv"), &qkv, &normed)?;
        qkv.weight = quantized_qkv.real.clone();
        scale_rows(&mut qkv, a.q_dim(), 1.0 / factor);
        let attended = each(&normed, &|x| attend(a, linear(&qkv, x)));
        let output = self.quantize(&name("attention.output"), &layer.output, &attended)?;
        self.add(&Linear { weight: output.real.clone(), bias: layer.output.bias.clone() }, &attended);

        let (up, mlp_norm) = with_beta(&layer.up, &layer.mlp_norm);
        let gate = layer.gate.as_ref().map(|gate| with_beta(gate, &layer.mlp_norm).0);
        let normed = each(&self.rows, &|x| norm(a, &mlp_norm, x));
        let both = match &gate {
            Some(gate) => Linear {
                weight: interleaved(&gate.weight, &up.weight),
                bias: interleaved_bias(&gate.bias, &up.bias, a.hidden),
            },
            None => up.clone(),
        };
        let quantized_up = self.quantize(&name("mlp.up"), &both, &normed)?;
        let real = &quantized_up.real;
        let (gate, up) = match gate {
            Some(gate) => (
                Some(Linear { weight: real.slice(s![..;2, ..]).to_owned(), bias: gate.bias }),
                Linear { weight: real.slice(s![1..;2, ..]).to_owned(), bias: up.bias },
            ),
            None => (None, Linear { weight: real.clone(), bias: up.bias }),
        };
        let hidden = each(&normed, &|x| activate(a, gate.as_ref().map(|g| linear(g, x)), linear(&up, x)));
        let down = self.quantize(&name("mlp.down"), &layer.down, &hidden)?;
        self.add(&Linear { weight: down.real.clone(), bias: layer.down.bias.clone() }, &hidden);
        Ok(QuantizedLayer {
            attention_norm: plain_norm,
            qkv: quantized_qkv,
            output,
            mlp_norm,
            up: quantized_up,
            gated: gate.is_some(),
            down,
        })
    }

    fn add(&mut self, l: &Linear, inputs: &[Array2<f32>]) {
        self.rows.iter_mut().zip(inputs).for_each(|(x, input)| *x += &linear(l, input));
    }
}

/// `W·(x̂·γ + β) + b`: β goes into the bias.
fn with_beta(l: &Linear, norm: &Norm) -> (Linear, Norm) {
    let mut l = l.clone();
    if let Some(beta) = &norm.beta {
        let bias = l.bias.take().unwrap_or_else(|| Array1::zeros(l.weight.nrows()));
        l.bias = Some(bias + l.weight.dot(beta));
    }
    (l, Norm { gamma: norm.gamma.clone(), beta: None })
}

/// Multiplies the first rows.
fn scale_rows(l: &mut Linear, rows: usize, factor: f32) {
    l.weight.slice_mut(s![..rows, ..]).mapv_inplace(|w| w * factor);
    if let Some(bias) = &mut l.bias {
        bias.slice_mut(s![..rows]).mapv_inplace(|b| b * factor);
    }
}

/// The float network of the quantized weights: what a converted model computes, but for its activations and its cache.
pub fn real_network(quantized: &QuantizedNetwork) -> Network {
    let a = &quantized.architecture;
    let linear = |q: &Quantized| {
        let bias = q.bias.as_ref().map(|b| b.iter().map(|&b| (f64::from(b) / 65_536.0) as f32).collect());
        Linear { weight: q.real.clone(), bias }
    };
    let layer = |layer: &QuantizedLayer| {
        let mut qkv = linear(&layer.qkv);
        scale_rows(&mut qkv, a.q_dim(), (a.head_dim as f32).sqrt() / std::f32::consts::LOG2_E);
        let both = linear(&layer.up);
        let every_other = |first: usize| Linear {
            weight: both.weight.slice(s![first..;2, ..]).to_owned(),
            bias: both.bias.as_ref().map(|b| b.slice(s![first..;2]).to_owned()),
        };
        let (gate, up) = if layer.gated { (Some(every_other(0)), every_other(1)) } else { (None, both.clone()) };
        Layer {
            attention_norm: layer.attention_norm.clone(),
            qkv,
            output: linear(&layer.output),
            mlp_norm: layer.mlp_norm.clone(),
            gate,
            up,
            down: linear(&layer.down),
        }
    };
    Network {
        architecture: a.clone(),
        embedding: quantized.embedding.real.clone(),
        layers: quantized.layers.iter().map(layer).collect(),
        final_norm: Norm { beta: None, ..quantized.final_norm.clone() },
        head: quantized.head.as_ref().map(linear),
    }
}
