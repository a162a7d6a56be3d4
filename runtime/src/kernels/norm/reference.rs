//! The specification of normalisation. Never optimised.
#![allow(clippy::indexing_slicing, reason = "the specification reads like its formula")]

use super::Normalize;
use crate::kernels::Element;

/// Normalisation over the axes of `p.axes`.
///
/// With `d = x − z_x`, n the number of elements that share a mean, and sums over these,
///
/// * `m = ⌊Σd/n · 2^13 + ½⌋` (0 if not centered), `r = n / √(n·Σd² − (Σd)² + ε)` ([`crate::fixed::inverse_root`]; not
///   centered, without `(Σd)²`), where the sums are exact
/// * `t = ⌊(d·2^13 − m)·r · 2^6 + ½⌋`: the normalised value in units of 2^-19
/// * `out[i] = clamp(z_y + ⌊(t·γ[i mod len] + β[i mod len]·2^(shift − 12)) / 2^shift + ½⌋)`
///
/// * `x`, `out`: of shape `p.shape`
/// * ranges: `n ≤ 2^22`, `|γ| ≤ 2^30`, `|β|·2^(shift − 12) ≤ 2^61`
/// * error: t is within `2^-19 + 2^-14·r + 2^-28·|t|` of the real value
/// * source: Ba et al., "Layer Normalization", 2016; Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019
pub fn normalize<E: Element>(p: &Normalize<E>, x: &[E], out: &mut [E]) -> Option<()> {
    for o in 0..out.len() {
        let (mut count, mut sum, mut squares) = (0, 0, 0);
        for (i, x) in x.iter().enumerate() {
            if group(p, i) == group(p, o) {
                let d = i64::from(x.widen() - p.in_zero_point);
                count += 1;
                sum += d;
                squares += (d * d) as u64;
            }
        }
        let d = x[o].widen() - p.in_zero_point;
        let entry = o % p.scale.len();
        out[o] = p.finish(p.moments(count, sum, squares), d, p.scale[entry], p.bias[entry]);
    }
    Some(())
}

/// The mean to which element `i` counts.
fn group<E: Element>(p: &Normalize<E>, i: usize) -> usize {
    let (mut rest, mut group, mut stride) = (i, 0, 1);
    for axis in (0..p.shape.len()).rev() {
        let len = p.shape[axis] as usize;
        if !p.reduces(axis) {
            group += rest % len * stride;
            stride *= len;
        }
        rest /= len;
    }
    group
}
