//! The meaning of a [`Network`] in float, over a whole sequence at once.

use ndarray::{Array1, Array2, ArrayView1, Axis, Zip, s};
use teff::kernels::attention::Rope;

use super::network::{Architecture, Layer, Linear, Network, Norm, NormKind};

/// Logits `(tokens, vocabulary)` of a sequence.
pub fn logits(network: &Network, tokens: &[u32]) -> Array2<f32> {
    final_logits(network, &stream(network, tokens))
}

/// The residual stream behind all blocks.
pub fn stream(network: &Network, tokens: &[u32]) -> Array2<f32> {
    let mut x = embed(network, tokens);
    for layer in &network.layers {
        x += &attention_block(&network.architecture, layer, &x);
        x += &mlp_block(&network.architecture, layer, &x);
    }
    x
}

/// Rows of the embedding.
pub fn embed(network: &Network, tokens: &[u32]) -> Array2<f32> {
    let indices: Vec<usize> = tokens.iter().map(|&t| t as usize).collect();
    network.embedding.select(Axis(0), &indices)
}

/// The logits of the residual stream.
pub fn final_logits(network: &Network, x: &Array2<f32>) -> Array2<f32> {
    let x = norm(&network.architecture, &network.final_norm, x);
    match &network.head {
        Some(head) => linear(head, &x),
        None => x.dot(&network.embedding.t()),
    }
}

fn attention_block(a: &Architecture, layer: &Layer, x: &Array2<f32>) -> Array2<f32> {
    let x = norm(a, &layer.attention_norm, x);
    linear(&layer.output, &attend(a, linear(&layer.qkv, &x)))
}

fn mlp_block(a: &Architecture, layer: &Layer, x: &Array2<f32>) -> Array2<f32> {
    let x = norm(a, &layer.mlp_norm, x);
    let gate = layer.gate.as_ref().map(|gate| linear(gate, &x));
    linear(&layer.down, &activate(a, gate, linear(&layer.up, &x)))
}

/// The hidden row of an MLP.
pub fn activate(a: &Architecture, gate: Option<Array2<f32>>, up: Array2<f32>) -> Array2<f32> {
    match gate {
        Some(gate) => gate.mapv_into(|g| a.activation.apply(g)) * up,
        None => up.mapv_into(|u| a.activation.apply(u)),
    }
}

/// `x · Wᵀ + b`
pub fn linear(l: &Linear, x: &Array2<f32>) -> Array2<f32> {
    let mut y = x.dot(&l.weight.t());
    if let Some(bias) = &l.bias {
        y += bias;
    }
    y
}

/// RMSNorm or LayerNorm of each row.
pub fn norm(a: &Architecture, norm: &Norm, x: &Array2<f32>) -> Array2<f32> {
    let mut y = x.clone();
    for mut row in y.rows_mut() {
        if a.norm == NormKind::Layer {
            let mean = row.mean().unwrap_or(0.0);
            row -= mean;
        }
        let energy = row.dot(&row) / row.len() as f32 + a.epsilon as f32;
        row /= energy.sqrt();
    }
    y *= &norm.gamma;
    if let Some(beta) = &norm.beta {
        y += beta;
    }
    y
}

/// Turns queries and keys in place.
fn rope(a: &Architecture, qkv: &mut Array2<f32>) {
    let pairs = a.frequencies.len();
    for (position, mut row) in qkv.rows_mut().into_iter().enumerate() {
        let turns: Vec<(f32, f32)> = a
            .frequencies
            .iter()
            .map(|f| {
                let (sin, cos) = (position as f64 * f).sin_cos();
                (sin as f32, cos as f32)
            })
            .collect();
        for head in 0..a.heads + a.kv_heads {
            for (i, &(sin, cos)) in turns.iter().enumerate() {
                let (p, q) = match a.rope {
                    Rope::Half => (i, i + pairs),
                    _ => (2 * i, 2 * i + 1),
                };
                let (p, q) = (head * a.head_dim + p, head * a.head_dim + q);
                let (x, y) = (row[p], row[q]);
                row[p] = x * cos - y * sin;
                row[q] = x * sin + y * cos;
            }
        }
    }
}

/// Causal attention over queries, keys and values of a whole sequence: `(tokens, q_dim)`.
pub fn attend(a: &Architecture, mut qkv: Array2<f32>) -> Array2<f32> {
    rope(a, &mut qkv);
    let tokens = qkv.nrows();
    let mut out = Array2::zeros((tokens, a.q_dim()));
    let scale = 1.0 / (a.head_dim as f32).sqrt();
    let head_of = |h: usize| qkv.slice(s![.., h * a.head_dim..(h + 1) * a.head_dim]);
    for h in 0..a.heads {
        let kv = h / (a.heads / a.kv_heads);
        let mut scores = head_of(h).dot(&head_of(a.heads + kv).t()) * scale;
        for (t, mut row) in scores.rows_mut().into_iter().enumerate() {
            row.slice_mut(s![t + 1..]).fill(f32::NEG_INFINITY);
            softmax(row.view_mut());
        }
        let y = scores.dot(&head_of(a.heads + a.kv_heads + kv));
        out.slice_mut(s![.., h * a.head_dim..(h + 1) * a.head_dim]).assign(&y);
    }
    out
}

fn softmax(mut row: ndarray::ArrayViewMut1<f32>) {
    let max = row.fold(f32::NEG_INFINITY, |m, &x| m.max(x));
    row.mapv_inplace(|x| (x - max).exp());
    let total = row.sum();
    row /= total;
}

/// `−ln p(token)` under these logits.
pub fn surprise(logits: ArrayView1<f32>, token: u32) -> f64 {
    let max = logits.fold(f32::NEG_INFINITY, |m, &x| m.max(x));
    let total: f64 = logits.iter().map(|&x| f64::from(x - max).exp()).sum();
    total.ln() - f64::from(logits[token as usize] - max)
}

/// The sum of `xᵀx` over the rows: what calibration keeps of a layer's inputs.
pub fn gram(x: &Array2<f32>) -> Array2<f64> {
    let x = x.mapv(f64::from);
    x.t().dot(&x)
}

/// Rows of two matrices, in turn.
pub fn interleaved(a: &Array2<f32>, b: &Array2<f32>) -> Array2<f32> {
    let mut rows = Array2::zeros((2 * a.nrows(), a.ncols()));
    Zip::from(rows.slice_mut(s![..;2, ..])).and(a).for_each(|to, &from| *to = from);
    Zip::from(rows.slice_mut(s![1..;2, ..])).and(b).for_each(|to, &from| *to = from);
    rows
}

/// Elements of two vectors, in turn.
pub fn interleaved_bias(a: &Option<Array1<f32>>, b: &Option<Array1<f32>>, len: usize) -> Option<Array1<f32>> {
    let column = |bias: &Option<Array1<f32>>| {
        let bias = bias.clone().unwrap_or_else(|| Array1::zeros(len));
        bias.insert_axis(Axis(1))
    };
    (a.is_some() || b.is_some()).then(|| interleaved(&column(a), &column(b)).remove_axis(Axis(1)))
}
