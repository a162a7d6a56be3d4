//! The specification of resampling. Never optimised.
#![allow(clippy::indexing_slicing, reason = "the specification reads like its formula")]

use super::{Resample2d, WEIGHT_BITS};
use crate::fixed::rounding_shift_right_i64;
use crate::kernels::Element;

/// Weighted sums along rows and columns.
///
/// `out[n,i,j,c] = clamp(z_y + ⌊Σ_k Σ_l r[i,k]·s[j,l]·(x[n, row(i,k), column(j,l), c] − z_x) / 2^40 + ½⌋)`
///
/// * `x`: `(batch, height, width, channels)`; `out`: `(batch, rows, columns, channels)`
/// * ranges: `Σ_k |r[i,k]| ≤ 2^22`, `Σ_l |s[j,l]| ≤ 2^22`, so that the i64 accumulator cannot overflow
/// * rounding: [`rounding_shift_right_i64`], once
pub fn resample2d<E: Element>(p: &Resample2d<E>, x: &[E], out: &mut [E]) -> Option<()> {
    let ([height, width], [rows, columns]) = (p.input, [p.rows.len(), p.columns.len()]);
    for (o, out) in out.iter_mut().enumerate() {
        let (c, j, i) = (o % p.channels, o / p.channels % columns, o / p.channels / columns % rows);
        let n = o / p.channels / columns / rows;
        let mut sum = 0_i64;
        for k in i * p.rows.width..(i + 1) * p.rows.width {
            for l in j * p.columns.width..(j + 1) * p.columns.width {
                let (y, xx) = (p.rows.index[k] as usize, p.columns.index[l] as usize);
                let value = x[((n * height + y) * width + xx) * p.channels + c].widen() - p.in_zero_point;
                sum += i64::from(p.rows.weight[k]) * i64::from(p.columns.weight[l]) * i64::from(value);
            }
        }
        *out = p.output.finish(rounding_shift_right_i64(sum, 2 * WEIGHT_BITS));
    }
    Some(())
}
