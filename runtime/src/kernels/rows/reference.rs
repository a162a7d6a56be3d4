//! The specification of row operators. Never optimised.
#![allow(clippy::indexing_slicing, clippy::needless_range_loop, reason = "the specification reads like its formula")]

use super::{Embedding, HEADER, RowNorm, quantize};
use crate::fixed::{Factor, inverse_sqrt, requantize_scaled, rounding_shift_64, sat32, times};

/// RMSNorm or LayerNorm of each wide row, to a narrow row.
///
/// With `c = x` (RMSNorm) or `x − ⌊Σx/n + ½⌋` (LayerNorm), and s the smallest shift at which `|c| < 2^15·2^s`:
/// `h[i] = clamp(⌊c[i]/2^s + ½⌋, ±(2^15 − 1))`, `t[i] = h[i]·γ[i]`, `E = max(1, Σ h² + ⌊ε·n·2^32 / 2^(2s)⌋)`,
/// `y = quantize(t, factor/√E)`
///
/// * `x`: `(rows, n)` wide; `gamma`: `(n)` i16; `out`: `(rows, 2 + n)` narrow
/// * error against float: `2^-14 · max|c|` before γ, then that of [`quantize`]
/// * source: Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019; Ba et al., "Layer Normalization", 2016
pub fn row_norm(p: &RowNorm, x: &[i32], gamma: &[i16], out: &mut [i16], products: &mut [i32]) -> Option<()> {
    for (x, out) in x.chunks_exact(p.len).zip(out.chunks_exact_mut(HEADER + p.len)) {
        let mean = if p.centred { floor_mean(x, p.len) } else { 0 };
        let centred = |i: usize| sat32(i64::from(x[i]) - i64::from(mean));
        let max = (0..p.len).map(|i| centred(i).unsigned_abs()).max()?;
        let s = (32 - max.leading_zeros()).saturating_sub(15);
        let h = |i: usize| rounding_shift_64(centred(i).into(), s as i32).clamp(-32_767, 32_767);
        let squares: u64 = (0..p.len).map(|i| (h(i) * h(i)) as u64).sum();
        let energy = squares + (u64::from(p.epsilon) >> (2 * s));
        for i in 0..p.len {
            products[i] = h(i) * i32::from(gamma[i]);
        }
        quantize(&products[..p.len], norm_unit(p.factor, energy), p.bits, out)?;
    }
    Some(())
}

/// `factor / √energy`.
pub(super) fn norm_unit(factor: Factor, energy: u64) -> Factor {
    times(factor, inverse_sqrt(energy))
}

/// `⌊Σx/n + ½⌋`.
pub(super) fn floor_mean(x: &[i32], n: usize) -> i32 {
    let n = (n as i64).max(1);
    let sum: i64 = x.iter().map(|&x| i64::from(x)).sum();
    sat32((2 * sum + n).div_euclid(2 * n))
}

/// Rows of the table of int8 weights, as wide rows: `out[r,i] = requantize_scaled(w[id[r], i], mult[id]/2^shift)`.
///
/// * `ids`: `(rows)`; `w`: `(vocabulary, n)` int8 values; `mult`: `(vocabulary)`; `out`: `(rows, n)` wide
/// * `None` if an id is not in `[0, vocabulary)`
pub fn embedding(p: &Embedding, ids: &[i32], w: &[u8], mult: &[i32], out: &mut [i32]) -> Option<()> {
    for (&id, out) in ids.iter().zip(out.chunks_exact_mut(p.len)) {
        let id = usize::try_from(id).ok().filter(|&id| id < p.vocabulary)?;
        let factor = Factor { mult: mult[id], shift: p.shift.into() };
        for i in 0..p.len {
            out[i] = requantize_scaled((w[id * p.len + i] as i8).into(), factor);
        }
    }
    Some(())
}

/// The index of the largest element of each row, the first of equal ones.
pub fn argmax(len: usize, x: &[i32], out: &mut [i32]) -> Option<()> {
    for (x, out) in x.chunks_exact(len).zip(out) {
        let mut best = 0;
        for i in 0..len {
            if x[i] > x[best] {
                best = i;
            }
        }
        *out = best as i32;
    }
    Some(())
}
