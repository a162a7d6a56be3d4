#![allow(unsafe_code)]
//! A LLaMA in plain f32, one token at a time: what the language model benchmark compares with.
//!
//! It is the loop that every such program has (llama2.c's `run.c` is the best known), in Rust, with what a compiler may not do
//! by itself without licence to reorder sums done by hand: dot products have sixteen partial sums, so that they
//! vectorise. Angles are in tables. The whole step is compiled for the vector instructions that the processor has.

use anyhow::{Result, ensure};
use teff::kernels::attention::Rope;

use crate::lm::network::{ActivationKind, Linear, Network, NormKind};

/// Partial sums of a dot product.
const LANES: usize = 16;

struct Layer {
    attention_norm: Vec<f32>,
    /// Queries, keys and values, one below the other.
    qkv: Vec<f32>,
    output: Vec<f32>,
    mlp_norm: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    down: Vec<f32>,
    /// `(context, kv_dim)`
    keys: Vec<f32>,
    /// `(context, kv_dim)`
    values: Vec<f32>,
}

/// The model, its cache and its buffers.
pub struct PlainLlama {
    dim: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    half_pairs: bool,
    epsilon: f32,
    embedding: Vec<f32>,
    layers: Vec<Layer>,
    final_norm: Vec<f32>,
    head: Option<Vec<f32>>,
    /// `(context, head_dim / 2)` cos and sin.
    turns: Vec<(f32, f32)>,
    stream: Vec<f32>,
    normed: Vec<f32>,
    qkv: Vec<f32>,
    mixed: Vec<f32>,
    scores: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    added: Vec<f32>,
    logits: Vec<f32>,
    /// Which compiled version runs.
    instructions: Instructions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instructions {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Instructions {
    fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            use std::is_x86_feature_detected as has;
            let avx2 = has!("avx2") && has!("fma");
            if avx2 && has!("avx512f") && has!("avx512vl") && has!("avx512dq") && has!("avx512bw") {
                return Self::Avx512;
            }
            if avx2 {
                return Self::Avx2;
            }
        }
        Self::Plain
    }
}

impl PlainLlama {
    /// Of a network of LLaMA's kind, with a cache of `context` tokens.
    ///
    /// # Errors
    /// If the network is of another kind.
    pub fn new(network: &Network, context: usize) -> Result<Self> {
        let a = &network.architecture;
        let bare = |l: &Linear| l.bias.is_none();
        let llama = a.norm == NormKind::Rms && a.activation == ActivationKind::Silu && a.rope != Rope::None;
        let whole = a.frequencies.len() * 2 == a.head_dim;
        let layers = &network.layers;
        let unbiased = layers.iter().all(|l| bare(&l.qkv) && bare(&l.output) && bare(&l.up) && bare(&l.down));
        ensure!(llama && whole && unbiased, "the plain f32 model knows LLaMA's architecture only");
        let flat = |l: &Linear| l.weight.iter().copied().collect::<Vec<f32>>();
        let layer = |l: &crate::lm::network::Layer| -> Result<Layer> {
            let Some(gate) = &l.gate else { anyhow::bail!("the plain f32 model wants a gated MLP") };
            Ok(Layer {
                attention_norm: l.attention_norm.gamma.to_vec(),
                qkv: flat(&l.qkv),
                output: flat(&l.output),
                mlp_norm: l.mlp_norm.gamma.to_vec(),
                gate: flat(gate),
                up: flat(&l.up),
                down: flat(&l.down),
                keys: vec![0.0; context * a.kv_dim()],
                values: vec![0.0; context * a.kv_dim()],
            })
        };
        let turn = |(place, f): (usize, &f64)| {
            let (sin, cos) = (place as f64 * f).sin_cos();
            (cos as f32, sin as f32)
        };
        let places = (0..context).flat_map(|place| a.frequencies.iter().map(move |f| (place, f)));
        Ok(Self {
            dim: a.dim,
            heads: a.heads,
            kv_heads: a.kv_heads,
            head_dim: a.head_dim,
            half_pairs: a.rope == Rope::Half,
            epsilon: a.epsilon as f32,
            embedding: network.embedding.iter().copied().collect(),
            layers: layers.iter().map(layer).collect::<Result<_>>()?,
            final_norm: network.final_norm.gamma.to_vec(),
            head: network.head.as_ref().map(flat),
            turns: places.map(turn).collect(),
            stream: vec![0.0; a.dim],
            normed: vec![0.0; a.dim],
            qkv: vec![0.0; a.q_dim() + 2 * a.kv_dim()],
            mixed: vec![0.0; a.q_dim()],
            scores: vec![0.0; context],
            gate: vec![0.0; a.hidden],
            up: vec![0.0; a.hidden],
            added: vec![0.0; a.dim],
            logits: vec![0.0; a.vocabulary],
            instructions: Instructions::best(),
        })
    }

    /// What it is compiled for.
    pub fn instructions(&self) -> &'static str {
        match self.instructions {
            Instructions::Plain => "the target's base instructions",
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => "AVX2, FMA",
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => "AVX-512",
        }
    }

    /// The logits after `token` at `position`, which is below the context.
    pub fn step(&mut self, token: u16, position: usize) -> &[f32] {
        match self.instructions {
            Instructions::Plain => self.forward(token, position),
            // SAFETY: `Instructions::best` has seen that the processor has these.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => unsafe { self.forward_avx2(token, position) },
            // SAFETY: likewise.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => unsafe { self.forward_avx512(token, position) },
        }
        &self.logits
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn forward_avx2(&mut self, token: u16, position: usize) {
        self.forward(token, position);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,avx512f,avx512vl,avx512dq,avx512bw")]
    fn forward_avx512(&mut self, token: u16, position: usize) {
        self.forward(token, position);
    }

    #[inline(always)]
    fn forward(&mut self, token: u16, position: usize) {
        let (dim, head_dim) = (self.dim, self.head_dim);
        let (q_dim, kv_dim) = (self.heads * head_dim, self.kv_heads * head_dim);
        self.stream.copy_from_slice(&self.embedding[usize::from(token) * dim..][..dim]);
        let turns = &self.turns[position * head_dim / 2..][..head_dim / 2];
        for layer in &mut self.layers {
            rms_norm(&self.stream, &layer.attention_norm, self.epsilon, &mut self.normed);
            product(&layer.qkv, &self.normed, &mut self.qkv);
            let (turned, values) = self.qkv.split_at_mut(q_dim + kv_dim);
            for head in turned.chunks_exact_mut(head_dim) {
                rotate(head, turns, self.half_pairs);
            }
            let (queries, keys) = turned.split_at(q_dim);
            layer.keys[position * kv_dim..][..kv_dim].copy_from_slice(keys);
            layer.values[position * kv_dim..][..kv_dim].copy_from_slice(values);
            let heads = queries.chunks_exact(head_dim).zip(self.mixed.chunks_exact_mut(head_dim));
            for (h, (query, mixed)) in heads.enumerate() {
                let start = h / (self.heads / self.kv_heads) * head_dim;
                let scores = &mut self.scores[..=position];
                let scale = 1.0 / (head_dim as f32).sqrt();
                for (score, key) in scores.iter_mut().zip(layer.keys.chunks_exact(kv_dim)) {
                    *score = dot(query, &key[start..][..head_dim]) * scale;
                }
                softmax(scores);
                mixed.fill(0.0);
                for (&score, value) in scores.iter().zip(layer.values.chunks_exact(kv_dim)) {
                    mixed.iter_mut().zip(&value[start..][..head_dim]).for_each(|(mixed, v)| *mixed += score * v);
                }
            }
            product(&layer.output, &self.mixed, &mut self.added);
            self.stream.iter_mut().zip(&self.added).for_each(|(x, y)| *x += y);
            rms_norm(&self.stream, &layer.mlp_norm, self.epsilon, &mut self.normed);
            product(&layer.gate, &self.normed, &mut self.gate);
            product(&layer.up, &self.normed, &mut self.up);
            for (gate, up) in self.gate.iter_mut().zip(&self.up) {
                *gate = *gate / (1.0 + (-*gate).exp()) * up;
            }
            product(&layer.down, &self.gate, &mut self.added);
            self.stream.iter_mut().zip(&self.added).for_each(|(x, y)| *x += y);
        }
        rms_norm(&self.stream, &self.final_norm, self.epsilon, &mut self.normed);
        product(self.head.as_ref().unwrap_or(&self.embedding), &self.normed, &mut self.logits);
    }
}

/// `Σ a·b` in [`LANES`] partial sums; of short vectors, such as the heads of small models, in half as many.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    if let (Ok(a), Ok(b)) = (<&[f32; 8]>::try_from(a), <&[f32; 8]>::try_from(b)) {
        let products: [f32; 8] = std::array::from_fn(|i| a[i] * b[i]);
        let pairs: [f32; 4] = std::array::from_fn(|i| products[i] + products[i + 4]);
        return (pairs[0] + pairs[2]) + (pairs[1] + pairs[3]);
    }
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum = a.mul_add(*b, *sum);
        }
    }
    let (a8, a_rest) = a_rest.as_chunks::<8>();
    let (b8, b_rest) = b_rest.as_chunks::<8>();
    for (a, b) in a8.iter().zip(b8) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum = a.mul_add(*b, *sum);
        }
    }
    let rest = a_rest.iter().zip(b_rest).fold(0.0_f32, |sum, (a, b)| a.mul_add(*b, sum));
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            sums[i] += sums[i + width];
        }
        width /= 2;
    }
    sums[0] + rest
}

/// `out = w · x`
#[inline(always)]
fn product(w: &[f32], x: &[f32], out: &mut [f32]) {
    for (out, row) in out.iter_mut().zip(w.chunks_exact(x.len())) {
        *out = dot(row, x);
    }
}

#[inline(always)]
fn rms_norm(x: &[f32], gamma: &[f32], epsilon: f32, out: &mut [f32]) {
    let factor = 1.0 / (dot(x, x) / x.len() as f32 + epsilon).sqrt();
    for ((out, x), gamma) in out.iter_mut().zip(x).zip(gamma) {
        *out = x * factor * gamma;
    }
}

#[inline(always)]
fn rotate(head: &mut [f32], turns: &[(f32, f32)], half_pairs: bool) {
    let pairs = turns.len();
    for (i, &(cos, sin)) in turns.iter().enumerate() {
        let (p, q) = if half_pairs { (i, i + pairs) } else { (2 * i, 2 * i + 1) };
        let (x, y) = (head[p], head[q]);
        (head[p], head[q]) = (x * cos - y * sin, x * sin + y * cos);
    }
}

#[inline(always)]
fn softmax(x: &mut [f32]) {
    let max = x.iter().fold(f32::NEG_INFINITY, |max, &x| max.max(x));
    let mut total = 0.0;
    for x in x.iter_mut() {
        *x = (*x - max).exp();
        total += *x;
    }
    let factor = 1.0 / total;
    x.iter_mut().for_each(|x| *x *= factor);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lm::{float, folder};

    #[test]
    fn it_computes_what_the_float_model_does() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/storyteller/hf");
        let network = folder::read(&path).unwrap();
        let mut plain = PlainLlama::new(&network, 40).unwrap();
        let tokens: Vec<u32> = (0..40).map(|i| 1 + i * 37 % 200).collect();
        let expected = float::logits(&network, &tokens);
        let best = plain.instructions;
        for instructions in [Instructions::Plain, best] {
            plain.instructions = instructions;
            for (position, (&token, expected)) in tokens.iter().zip(expected.rows()).enumerate() {
                let found = plain.step(token as u16, position);
                for (found, expected) in found.iter().zip(expected) {
                    assert!((found - expected).abs() < 1e-3, "{instructions:?}, {position}: {found} {expected}");
                }
            }
        }
    }
}
