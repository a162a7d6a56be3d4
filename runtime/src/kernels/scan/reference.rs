//! The specification of running sums. Never optimised.
#![allow(clippy::indexing_slicing, reason = "the specification reads like its formula")]

use super::CumulativeSum;
use crate::kernels::{Accumulator, Element};

/// Sum of the elements up to each one along an axis.
///
/// `out[o,i,j] = finish(requantize(Σ_{k ≤ i} (x[o,k,j] − z_x), m))`; `k < i` if exclusive, `k ≥ i` or `k > i` if reversed
///
/// * `x`, `out`: `(outer, len, inner)`
/// * ranges: `len ≤ 2^23`, so that the sum fits the accumulator
/// * rounding: [`crate::fixed::requantize`] or [`crate::fixed::requantize_i64`], once; the exact sum runs on
pub fn cumulative_sum<E: Element>(p: &CumulativeSum<E>, x: &[E], out: &mut [E]) -> Option<()> {
    let along = &p.along;
    let at = |o: usize, i: usize, j: usize| (o * along.len + i) * along.inner + j;
    for o in 0..along.outer {
        for i in 0..along.len {
            for j in 0..along.inner {
                let (before, behind) = if p.exclusive { (0..i, i + 1..along.len) } else { (0..i + 1, i..along.len) };
                let summed = if p.reverse { behind } else { before };
                let sum = summed.fold(E::Sum::default(), |sum, k| sum.plus(x[at(o, k, j)].widen() - p.zero_point));
                out[at(o, i, j)] = p.output.finish(sum.requantize(p.multiplier));
            }
        }
    }
    Some(())
}
