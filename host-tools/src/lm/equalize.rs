//! Scales that make the elements of keys and values alike in size, so that one int8 scale serves a whole cached row.
//!
//! A pair of key elements that positions turn together is multiplied by s, the same pair of the queries divided by it;
//! an element of the values is multiplied by s, the columns of the output product that read it divided: the model
//! stays the same, as in Xiao et al., "SmoothQuant", 2023.

use ndarray::{Array2, s};
use teff::kernels::attention::Rope;

use super::float::linear;
use super::network::{Architecture, Layer};

/// The layer with equal key pairs and values over `normed`, the inputs of its attention.
pub(super) fn equalized(a: &Architecture, layer: &Layer, normed: &[Array2<f32>]) -> Layer {
    let mut layer = layer.clone();
    if normed.is_empty() {
        return layer;
    }
    let rows: Vec<Array2<f32>> = normed.iter().map(|x| linear(&layer.qkv, x)).collect();
    // Between root mean square and largest: the fourth root of the mean fourth power.
    let size = |columns: &[usize]| -> f32 {
        let powers =
            rows.iter().flat_map(|r| columns.iter().map(move |&c| r.column(c).iter().map(|x| x.powi(4)).sum::<f32>()));
        let count = rows.iter().map(|r| r.nrows()).sum::<usize>() * columns.len();
        (powers.sum::<f32>() / count.max(1) as f32).powf(0.25).max(1e-6)
    };
    let repeats = a.heads / a.kv_heads;
    for head in 0..a.kv_heads {
        for pair in pairs(a) {
            let keys: Vec<usize> = pair.iter().map(|i| a.q_dim() + head * a.head_dim + i).collect();
            let scale = 1.0 / size(&keys);
            keys.iter().for_each(|&row| scale_row(&mut layer, row, scale));
            for query in head * repeats..(head + 1) * repeats {
                pair.iter().for_each(|i| scale_row(&mut layer, query * a.head_dim + i, 1.0 / scale));
            }
        }
        for i in 0..a.head_dim {
            let row = a.q_dim() + a.kv_dim() + head * a.head_dim + i;
            let scale = 1.0 / size(&[row]);
            scale_row(&mut layer, row, scale);
            for query in head * repeats..(head + 1) * repeats {
                layer.output.weight.slice_mut(s![.., query * a.head_dim + i]).mapv_inplace(|w| w / scale);
            }
        }
    }
    layer
}

/// The elements of a head that positions turn together, and each other one by itself.
fn pairs(a: &Architecture) -> Vec<Vec<usize>> {
    let half = a.frequencies.len();
    let turned = (0..half).map(|i| match a.rope {
        Rope::Half => vec![i, i + half],
        _ => vec![2 * i, 2 * i + 1],
    });
    turned.chain((2 * half..a.head_dim).map(|i| vec![i])).collect()
}

fn scale_row(layer: &mut Layer, row: usize, scale: f32) {
    layer.qkv.weight.row_mut(row).mapv_inplace(|w| w * scale);
    if let Some(bias) = &mut layer.qkv.bias {
        bias[row] *= scale;
    }
}
