//! The specification of softmax. Never optimised.
#![allow(clippy::indexing_slicing, reason = "the specification reads like its formula")]

use super::Softmax;
use crate::fixed::{exp_neg_scaled, rounding_divide};
use crate::kernels::Element;

/// Softmax of each row.
///
/// `out[r,i] = saturate(z + rounding_divide(2^u · e[i], Σ_j e[j]))` with
/// `e[i] = exp_neg_scaled(max_j x[r,j] − x[r,i], multiplier, shift)`, u = [`Element::UNIT_BITS`], z =
/// [`Element::UNIT_ZERO`]
///
/// * `x`, `out`: `(rows, row_len)`; `out` has scale 1/2^u and zero point z
/// * error, int8: at most ½ + 1/16 steps of 1/256 against the float softmax of the dequantized input, the sixteenth in
///   rows of 65535; at most 1 step where the result is 127, because int8 cannot hold the probability 1
/// * error, int16: at most ½ + 1/8 steps of 1/32768 in rows of at most 2048, ½ + 4 in rows of 65535; at most ½ step
///   more where the result is 32767
/// * rounding: [`exp_neg_scaled`] for the exponentials, [`rounding_divide`] once for the result
pub fn softmax<E: Element>(p: &Softmax, x: &[E], out: &mut [E]) -> Option<()> {
    for (row, out) in x.chunks_exact(p.row_len).zip(out.chunks_exact_mut(p.row_len)) {
        let max = row.iter().copied().max()?;
        let exponential = |x: E| {
            let below = max.widen().abs_diff(x.widen());
            u64::from(exp_neg_scaled(below, p.multiplier, p.shift).unsigned_abs())
        };
        let sum: u64 = row.iter().map(|&x| exponential(x)).sum();
        for i in 0..row.len() {
            let probability = rounding_divide(exponential(row[i]) << E::UNIT_BITS, sum);
            out[i] = E::saturate(probability as i32 + E::UNIT_ZERO);
        }
    }
    Some(())
}
