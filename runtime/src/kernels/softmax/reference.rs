//! The specification of softmax. Never optimised.
#![allow(clippy::indexing_slicing, reason = "the specification reads like its formula")]

use super::Softmax;
use crate::fixed::{exp_neg, rounding_divide};

/// Softmax of each row.
///
/// `out[r,i] = min(127, rounding_divide(256 · e[i], Σ_j e[j]) − 128)` with
/// `e[i] = exp_neg((max_j x[r,j] − x[r,i]) · multiplier)`, the product saturated to u32
///
/// * `x`, `out`: `(rows, row_len)`; `out` has scale 1/256 and zero point −128
/// * error: at most ½ + 1/16 steps of 1/256 against the float softmax of the dequantized input, the sixteenth in rows
///   of 65535; at most 1 step where the result is 127, because int8 cannot hold the probability 1
/// * rounding: [`exp_neg`] for the exponentials, [`rounding_divide`] once for the result
pub fn softmax_s8(p: &Softmax, x: &[i8], out: &mut [i8]) -> Option<()> {
    for (row, out) in x.chunks_exact(p.row_len).zip(out.chunks_exact_mut(p.row_len)) {
        let max = row.iter().copied().max()?;
        let exponential = |x: i8| u64::from(exp_neg((u32::from(max.abs_diff(x))).saturating_mul(p.multiplier)) as u32);
        let sum: u64 = row.iter().map(|&x| exponential(x)).sum();
        for i in 0..row.len() {
            let probability = rounding_divide(256 * exponential(row[i]), sum);
            out[i] = (probability as i32 - 128).min(127) as i8;
        }
    }
    Some(())
}
