//! The policy of StreamingLLM in float, as plainly as it can be written: keys and values in a list, keys before they are
//! turned, and the position of a row is its place in the list (Xiao et al., "Efficient streaming language models with
//! attention sinks", 2024, section 3.2).

use ndarray::{Array1, Array2, ArrayView1, s};
use teff::kernels::attention::Rope;
use teff_tools::lm::float::{activate, embed, final_logits, linear, norm};
use teff_tools::lm::network::{Architecture, Network};

/// A float model with its cache.
pub(crate) struct Window<'n> {
    network: &'n Network,
    slots: usize,
    sinks: usize,
    /// Of each layer: the keys and values of each cached row.
    cache: Vec<Vec<(Array1<f32>, Array1<f32>)>>,
}

impl<'n> Window<'n> {
    pub(crate) fn new(network: &'n Network, slots: usize, sinks: usize) -> Self {
        Self { network, slots, sinks, cache: vec![Vec::new(); network.layers.len()] }
    }

    /// The logits behind `token`.
    pub(crate) fn feed(&mut self, token: u32) -> Array1<f32> {
        let a = &self.network.architecture;
        let (q_dim, kv_dim) = (a.q_dim(), a.kv_dim());
        let mut x = embed(self.network, &[token]);
        for (layer, cache) in self.network.layers.iter().zip(&mut self.cache) {
            let qkv = linear(&layer.qkv, &norm(a, &layer.attention_norm, &x));
            let qkv = qkv.row(0);
            if cache.len() == self.slots {
                cache.remove(self.sinks);
            }
            let key = qkv.slice(s![q_dim..q_dim + kv_dim]).to_owned();
            cache.push((key, qkv.slice(s![q_dim + kv_dim..]).to_owned()));
            let mut y = Array2::zeros((1, q_dim));
            for head in 0..a.heads {
                let of = |row: ArrayView1<'_, f32>, head: usize, position: usize| {
                    turned(a, row.slice(s![head * a.head_dim..(head + 1) * a.head_dim]), position)
                };
                let shared = head / (a.heads / a.kv_heads);
                let query = of(qkv.slice(s![..q_dim]), head, cache.len() - 1) / (a.head_dim as f32).sqrt();
                let scores: Vec<f32> =
                    cache.iter().enumerate().map(|(at, (key, _))| query.dot(&of(key.view(), shared, at))).collect();
                let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let total: f32 = scores.iter().map(|score| (score - max).exp()).sum();
                let mut out = y.slice_mut(s![0, head * a.head_dim..(head + 1) * a.head_dim]);
                for (score, (_, value)) in scores.iter().zip(cache.iter()) {
                    let value = value.slice(s![shared * a.head_dim..(shared + 1) * a.head_dim]);
                    out.scaled_add((score - max).exp() / total, &value);
                }
            }
            x += &linear(&layer.output, &y);
            let z = norm(a, &layer.mlp_norm, &x);
            let gate = layer.gate.as_ref().map(|gate| linear(gate, &z));
            x += &linear(&layer.down, &activate(a, gate, linear(&layer.up, &z)));
        }
        final_logits(self.network, &x).row(0).to_owned()
    }
}

/// A head at a position.
fn turned(a: &Architecture, head: ArrayView1<'_, f32>, position: usize) -> Array1<f32> {
    let mut turned = head.to_owned();
    let pairs = a.frequencies.len();
    for (i, frequency) in a.frequencies.iter().enumerate() {
        let (sin, cos) = (position as f64 * frequency).sin_cos();
        let (sin, cos) = (sin as f32, cos as f32);
        let [p, q] = match a.rope {
            Rope::Half => [i, i + pairs],
            _ => [2 * i, 2 * i + 1],
        };
        (turned[p], turned[q]) = (head[p] * cos - head[q] * sin, head[p] * sin + head[q] * cos);
    }
    turned
}
