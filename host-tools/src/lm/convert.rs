//! The whole conversion of a language model: calibrate and quantize matrix by matrix, lay out, verify.

use anyhow::{Context, Result, ensure};
use ndarray::{Array1, Array2, s};
use zerocopy::IntoBytes;

use super::equalize::equalized;
use super::float::{activate, attend, embed, gram, interleaved, interleaved_bias, linear, norm, stream};
use super::network::{Layer, Linear, Network, Norm};
use super::program::{Layout, QuantizedLayer, QuantizedNetwork, program, wide};
use super::quantize::{Quantized, Rounding, Width, corrected, quantize};
use super::self_written::self_written;
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

/// Converts `network`, calibrated on `texts` (tokens of documents); without any, on what the network writes itself, unless
/// weights are to be rounded to the nearest. `tick` is called once a layer.
///
/// # Errors
/// If the network is not sound, or beyond the runtime's sizes.
pub fn convert(network: &Network, texts: &[Vec<u32>], options: &Options, tick: &dyn Fn()) -> Result<Emitted> {
    network.check()?;
    let own = match options.rounding {
        Rounding::Compensated | Rounding::Alternating if texts.is_empty() => self_written(network, options)?,
        _ => Vec::new(),
    };
    let texts = if texts.is_empty() { &own } else { texts };
    emit_quantized(&quantize_network(network, texts, options, tick)?, options)
}

/// Lays a quantized network out as a file.
pub(super) fn emit_quantized(network: &QuantizedNetwork, options: &Options) -> Result<Emitted> {
    let program = program(network, &options.layout)?;
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
/// before it, and corrected so that it makes up for their errors as far as it can (as in Arai and Ichikawa,
/// "Quantization Error Propagation", 2025).
///
/// # Errors
/// If a weight is not finite, or a width is not one of the runtime's.
pub fn quantize_network<'t>(
    network: &Network,
    texts: &'t [Vec<u32>],
    options: &Options,
    tick: &dyn Fn(),
) -> Result<QuantizedNetwork> {
    let a = &network.architecture;
    ensure!(
        texts.iter().flatten().all(|&t| (t as usize) < a.vocabulary),
        "the calibration text has tokens beyond the vocabulary"
    );
    let mut left = CALIBRATION_TOKENS;
    let sequence = |tokens: &'t Vec<u32>| {
        let tokens = &tokens[..tokens.len().min(left).min(a.context)];
        left -= tokens.len();
        (!tokens.is_empty()).then_some(tokens)
    };
    let texts: Vec<&[u32]> = texts.iter().map_while(sequence).collect();
    let rounding = if texts.is_empty() { Rounding::Nearest } else { options.rounding };
    let embedding = match (rounding, &network.head) {
        (Rounding::Nearest, _) | (_, Some(_)) => quantize(&network.embedding, None, None, ROWS_OF_8, Rounding::Nearest),
        _ => quantize(&network.embedding, None, Some(&tied_gram(network, &texts)), ROWS_OF_8, rounding),
    };
    let embedding = embedding.context("embedding")?;
    ensure!(embedding.inputs == a.dim, "rows of {} elements: a multiple of 4 is wanted", a.dim);
    let mut real = network.clone();
    real.embedding = embedding.real.clone();
    let streams = |network: &Network| texts.iter().map(|tokens| embed(network, tokens)).collect();
    let mut calibration = Calibration { network, options, rows: streams(&real), exact: streams(network) };
    let mut layers = Vec::new();
    for (i, layer) in network.layers.iter().enumerate() {
        layers.push(calibration.layer(i, layer).with_context(|| format!("layer {i}"))?);
        tick();
    }
    let head = network.head.as_ref().map(|head| {
        let (head, plain_norm) = with_beta(head, &network.final_norm);
        let gram = calibration.rows.iter().map(|x| gram(&norm(a, &plain_norm, x))).reduce(|a, b| a + b);
        quantize(&head.weight, head.bias.as_ref(), gram.as_ref(), ROWS_OF_8, rounding)
    });
    // With β the embedding's matrix gives the logits with a bias, E·β.
    let tied_bias = network.final_norm.beta.as_ref().filter(|_| head.is_none()).map(|beta| {
        let bias = network.embedding.dot(beta);
        bias.iter().map(|&b| wide(b)).collect()
    });
    let head = head.transpose()?;
    let final_norm = network.final_norm.clone();
    Ok(QuantizedNetwork { architecture: a.clone(), embedding, layers, final_norm, tied_bias, head })
}

/// Weight of the embedding's own error beside that of the logits, where both have the same matrix.
const EMBEDDING_SHARE: f64 = 0.3;

/// What the rounding of an embedding that is also the logits' matrix minimises: the error of the logits over the texts,
/// and a share of its own.
fn tied_gram(network: &Network, texts: &[&[u32]]) -> Array2<f64> {
    let a = &network.architecture;
    let normed = texts.iter().map(|tokens| norm(a, &network.final_norm, &stream(network, tokens)));
    let sum = normed.map(|x| gram(&x)).reduce(|a, b| a + b).unwrap_or_else(|| Array2::eye(a.dim));
    let mean = sum.diag().sum() / a.dim as f64;
    sum / mean.max(1e-9) + Array2::<f64>::eye(a.dim) * EMBEDDING_SHARE
}

/// The residual streams of the calibration texts, as far as the network has been quantized.
struct Calibration<'n> {
    network: &'n Network,
    options: &'n Options,
    /// Behind the quantized matrices.
    rows: Vec<Array2<f32>>,
    /// Of the float network.
    exact: Vec<Array2<f32>>,
}

impl Calibration<'_> {
    fn width(&self, name: &str) -> Width {
        let own = self.options.widths.iter().rev().find(|(part, _)| name.contains(part.as_str()));
        own.map_or(self.options.weights, |(_, width)| *width)
    }

    /// Quantizes a matrix such that it makes of `inputs` what is wanted; gives its float form too.
    fn quantize(
        &self,
        name: &str,
        l: &Linear,
        inputs: &[Array2<f32>],
        wanted: &[Array2<f32>],
    ) -> Result<(Quantized, Linear)> {
        let width = self.width(name);
        let sum = |parts: &mut dyn Iterator<Item = Array2<f64>>| parts.reduce(|a, b| a + b);
        let quantized = match (self.options.rounding, sum(&mut inputs.iter().map(gram))) {
            (Rounding::Nearest, _) | (_, None) => quantize(&l.weight, l.bias.as_ref(), None, width, Rounding::Nearest),
            (rounding, Some(gram)) => {
                let off = |(x, wanted): (&Array2<f32>, &Array2<f32>)| {
                    let difference = (wanted - &linear(l, x)).mapv(f64::from);
                    difference.t().dot(&x.mapv(f64::from))
                };
                let difference = sum(&mut inputs.iter().zip(wanted).map(off)).context("nothing is wanted")?;
                let weight = corrected(&l.weight, &difference, &gram).with_context(|| name.to_string())?;
                quantize(&weight, l.bias.as_ref(), Some(&gram), width, rounding)
            }
        };
        let quantized = quantized.with_context(|| name.to_string())?;
        let real = Linear { weight: quantized.real.clone(), bias: l.bias.clone() };
        Ok((quantized, real))
    }

    /// Quantizes a matrix whose results are added to the streams, and adds them; the float ones have been added before.
    fn quantize_and_add(&mut self, name: &str, l: &Linear, inputs: &[Array2<f32>]) -> Result<Quantized> {
        let wanted: Vec<_> = self.exact.iter().zip(&self.rows).map(|(exact, rows)| exact - rows).collect();
        let (quantized, real) = self.quantize(name, l, inputs, &wanted)?;
        self.rows.iter_mut().zip(inputs).for_each(|(x, input)| *x += &linear(&real, input));
        Ok(quantized)
    }

    fn layer(&mut self, index: usize, layer: &Layer) -> Result<QuantizedLayer> {
        let a = &self.network.architecture;
        let name = |part: &str| format!("layers.{index}.{part}");

        let normed = each(&self.rows, |x| norm(a, &layer.attention_norm, x));
        let (layer, centre) = equalized(a, layer, &normed);
        let (mut qkv, attention_norm) = with_beta(&layer.qkv, &layer.attention_norm);
        let factor = std::f32::consts::LOG2_E / (a.head_dim as f32).sqrt();
        scale_rows(&mut qkv, a.q_dim(), factor);
        let attended = |qkv: &Array2<f32>| {
            let mut qkv = qkv.clone();
            qkv.slice_mut(s![.., ..a.q_dim()]).mapv_inplace(|q| q / factor);
            attend(a, qkv)
        };
        let normed = each(&self.rows, |x| norm(a, &attention_norm, x));
        let wanted = each(&self.exact, |x| linear(&qkv, &norm(a, &attention_norm, x)));
        let (quantized_qkv, qkv) = self.quantize(&name("attention.qkv"), &qkv, &normed, &wanted)?;
        let inputs = each(&normed, |x| attended(&linear(&qkv, x)));
        self.exact.iter_mut().zip(&wanted).for_each(|(x, qkv)| *x += &linear(&layer.output, &attended(qkv)));
        let output = self.quantize_and_add(&name("attention.output"), &layer.output, &inputs)?;

        let (up, mlp_norm) = with_beta(&layer.up, &layer.mlp_norm);
        let gate = layer.gate.as_ref().map(|gate| with_beta(gate, &layer.mlp_norm).0);
        let both = match &gate {
            Some(gate) => Linear {
                weight: interleaved(&gate.weight, &up.weight),
                bias: interleaved_bias(&gate.bias, &up.bias, a.hidden),
            },
            None => up,
        };
        let hidden = |up: &Array2<f32>| match gate {
            Some(_) => {
                let every_other = |first: usize| up.slice(s![.., first..;2]).to_owned();
                activate(a, Some(every_other(0)), every_other(1))
            }
            None => activate(a, None, up.clone()),
        };
        let normed = each(&self.rows, |x| norm(a, &mlp_norm, x));
        let wanted = each(&self.exact, |x| linear(&both, &norm(a, &mlp_norm, x)));
        let (quantized_up, both) = self.quantize(&name("mlp.up"), &both, &normed, &wanted)?;
        let inputs = each(&normed, |x| hidden(&linear(&both, x)));
        self.exact.iter_mut().zip(&wanted).for_each(|(x, up)| *x += &linear(&layer.down, &hidden(up)));
        let down = self.quantize_and_add(&name("mlp.down"), &layer.down, &inputs)?;
        Ok(QuantizedLayer {
            attention_norm,
            qkv: quantized_qkv,
            centre,
            output,
            mlp_norm,
            up: quantized_up,
            gated: gate.is_some(),
            down,
        })
    }
}

/// `f` of the rows of each text.
fn each(rows: &[Array2<f32>], f: impl Fn(&Array2<f32>) -> Array2<f32>) -> Vec<Array2<f32>> {
    rows.iter().map(f).collect()
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
        head: match &quantized.tied_bias {
            Some(bias) => Some(linear(&Quantized { bias: Some(bias.clone()), ..quantized.embedding.clone() })),
            None => quantized.head.as_ref().map(linear),
        },
    }
}
