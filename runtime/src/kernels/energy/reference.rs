//! The specification of the reductions of squares and exponentials. Never optimised.
#![allow(clippy::indexing_slicing, reason = "the specification reads like its formula")]

use super::{LogSumExp, ROOT_FRACTION_BITS, ReduceSquare};
use crate::fixed::{exp_neg_scaled, ln, requantize_i64};
use crate::kernels::Element;
use crate::kernels::movement::reference::{coordinates, index};

/// Sum of squares over axes, or its root.
///
/// `out[o] = finish(requantize_i64(r, m))` with `s = Σ (x − z_x)²` over all elements whose coordinates off the reduced axes
/// are o, and `r = s` or, if the root is wanted, `r = ⌊√(s · 2^14)⌋`
///
/// * `x`: `shape`; `out`: the same with the reduced axes of length 1
/// * ranges: at most 2^16 squares are summed, so that the sum stays below 2^47
/// * rounding: [`requantize_i64`], once; the root is cut off at 7 fraction bits
pub fn reduce_square<E: Element>(p: &ReduceSquare<E>, x: &[E], out: &mut [E]) -> Option<()> {
    let mut out_shape = [1; 8];
    for (axis, &dim) in p.shape.iter().enumerate() {
        out_shape[axis] = if p.reduces(axis) { 1 } else { dim };
    }
    let out_shape = &out_shape[..p.shape.len()];
    for (o, out) in out.iter_mut().enumerate() {
        let mut sum = 0_i64;
        for (i, x) in x.iter().enumerate() {
            let mut at = coordinates(i, p.shape);
            (0..p.shape.len()).filter(|&axis| p.reduces(axis)).for_each(|axis| at[axis] = 0);
            if index(at, out_shape) == o {
                let x = i64::from(x.widen() - p.zero_point);
                sum += x * x;
            }
        }
        *out = finish(p, sum);
    }
    Some(())
}

/// The result for a sum.
pub(super) fn finish<E: Element>(p: &ReduceSquare<E>, sum: i64) -> E {
    let value = if p.root { (sum.cast_unsigned() << (2 * ROOT_FRACTION_BITS)).isqrt().cast_signed() } else { sum };
    p.output.finish(requantize_i64(value, p.multiplier))
}

/// Logarithm of the sum of the exponentials of each row.
///
/// `out[r] = finish(requantize_i64(⌊(x_max − z_x)·exp_mult / 2^exp_shift⌋ + ln(Σ_i e[i]), m))` with
/// `e[i] = exp_neg_scaled(x_max − x[r,i], exp_mult, exp_shift)` and all logarithms in Q.26
///
/// * `x`: `(rows, row_len)`; `out`: `(rows)`
/// * rounding: [`exp_neg_scaled`], [`ln`], and once [`requantize_i64`]
pub fn log_sum_exp<E: Element>(p: &LogSumExp<E>, x: &[E], out: &mut [E]) -> Option<()> {
    for (row, out) in x.chunks_exact(p.row_len).zip(out.iter_mut()) {
        let max = row.iter().copied().max()?.widen();
        let exponential = |x: &E| exp_neg_scaled(max.abs_diff(x.widen()), p.exp_mult, p.exp_shift);
        let sum: u64 = row.iter().map(|x| u64::from(exponential(x).cast_unsigned())).sum();
        let max = (i64::from(max - p.zero_point) * i64::from(p.exp_mult)) >> p.exp_shift;
        *out = p.output.finish(requantize_i64(max + i64::from(ln(sum)), p.multiplier));
    }
    Some(())
}
