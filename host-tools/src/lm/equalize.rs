//! What makes keys and values fit for a cache of int8: keys lose their mean, and one scale serves a whole cached row because
//! elements are alike in what their errors cost.
//!
//! A pair of key elements that positions turn together is multiplied by s, the same pair of the queries divided by it;
//! an element of the values is multiplied by s, the columns of the output product that read it divided: the model
//! stays the same, as in Xiao et al., "SmoothQuant", 2023. With errors in proportion to the largest of a row, and what
//! they cost to the sizes of what reads them, the sum of costs is least where both are alike: `s = √(reader/own)`.

use ndarray::{Array1, Array2, Axis, s};
use teff::kernels::attention::Rope;

use super::float::linear;
use super::network::{Architecture, Layer};

/// The layer with its keys and values so scaled over `normed`, the inputs of its attention, and the mean of its keys.
pub(super) fn equalized(a: &Architecture, layer: &Layer, normed: &[Array2<f32>]) -> (Layer, Option<Array1<f32>>) {
    let mut layer = layer.clone();
    let rows: Vec<Array2<f32>> = normed.iter().map(|x| linear(&layer.qkv, x)).collect();
    let count = rows.iter().map(|r| r.nrows()).sum::<usize>();
    if count == 0 {
        return (layer, None);
    }
    let of_keys = s![.., a.q_dim()..a.q_dim() + a.kv_dim()];
    let sums = rows.iter().map(|r| r.slice(of_keys).sum_axis(Axis(0)));
    let mut centre = sums.reduce(|a, b| a + b).unwrap_or_default() / count as f32;
    // Between root mean square and largest: the fourth root of the mean fourth power.
    let size = |columns: &[usize], centre: &dyn Fn(usize) -> f32| -> f32 {
        let power =
            |c: usize| rows.iter().flat_map(move |r| r.column(c).to_vec()).map(move |x| (x - centre(c)).powi(4));
        let sum: f32 = columns.iter().map(|&c| power(c).sum::<f32>()).sum();
        (sum / (count * columns.len()) as f32).powf(0.25).max(1e-6)
    };
    let repeats = a.heads / a.kv_heads;
    for head in 0..a.kv_heads {
        let queries = head * repeats..(head + 1) * repeats;
        for pair in pairs(a) {
            let own = |i: &usize| head * a.head_dim + i;
            let keys: Vec<usize> = pair.iter().map(|i| a.q_dim() + own(i)).collect();
            let readers: Vec<usize> =
                queries.clone().flat_map(|query| pair.iter().map(move |i| query * a.head_dim + i)).collect();
            let scale = (size(&readers, &|_| 0.0) / size(&keys, &|c| centre[c - a.q_dim()])).sqrt();
            keys.iter().for_each(|&row| scale_row(&mut layer, row, scale));
            readers.iter().for_each(|&row| scale_row(&mut layer, row, 1.0 / scale));
            pair.iter().for_each(|i| centre[own(i)] *= scale);
        }
        for i in 0..a.head_dim {
            let row = a.q_dim() + a.kv_dim() + head * a.head_dim + i;
            let readers = queries.clone().map(|query| query * a.head_dim + i);
            let energy: f32 = readers.clone().map(|c| layer.output.weight.column(c).mapv(|w| w * w).sum()).sum();
            let scale = (energy.sqrt().max(1e-6) / size(&[row], &|_| 0.0)).sqrt();
            scale_row(&mut layer, row, scale);
            readers.for_each(|c| layer.output.weight.column_mut(c).mapv_inplace(|w| w / scale));
        }
    }
    (layer, Some(centre))
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
