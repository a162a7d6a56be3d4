//! The specification of matrix products over rows. Never optimised.
#![allow(clippy::indexing_slicing, clippy::needless_range_loop, reason = "the specification reads like its formula")]

use super::epilogue::product;
use super::{MlpUp, Weights};
use crate::fixed::{RowScale, requantize_scaled};
use crate::kernels::rows::{HEADER, WIDE_UNIT, quantize, split};

/// The integer value of weight `(o, i)`.
pub fn value(w: &Weights, o: usize, i: usize) -> i32 {
    let at = o * w.inputs + i;
    match w.bits {
        8 => i32::from(w.data[at] as i8),
        4 => i32::from((w.data[at / 2] >> (4 * (at % 2))) & 15) - 8,
        _ => 2 * i32::from((w.data[at / 4] >> (2 * (at % 4))) & 3) - 3,
    }
}

/// `Σ_g scale[o,g] · Σ_{i ∈ g} value(o,i) · x[i]`, in 32 bits; where the sum is larger, which checks rule out for rows of
/// the declared width, it wraps.
pub fn dot(w: &Weights, x: &[i16], o: usize) -> i32 {
    let group = if w.group == 0 { w.inputs } else { w.group };
    let mut acc = 0_i32;
    for g in 0..w.inputs / group {
        let mut sum = 0_i32;
        for i in g * group..(g + 1) * group {
            sum = sum.wrapping_add(value(w, o, i).wrapping_mul(x[i].into()));
        }
        let scale = if w.group == 0 { 1 } else { i32::from(w.scales[o * (w.inputs / group) + g]) };
        acc = acc.wrapping_add(sum.wrapping_mul(scale));
    }
    acc
}

/// `requantize_scaled(acc, mult·mant / 2^(shift + row shift)) + bias`, saturating.
fn exact(acc: i32, w: &Weights, row: RowScale, (mult, bias): (i32, i32)) -> i32 {
    requantize_scaled(acc, row.times(mult, w.shift)).saturating_add(bias)
}

/// Significand of the factor and bias of output `o`.
fn factor(w: &Weights, o: usize) -> (i32, i32) {
    (w.mult[o], if w.bias.is_empty() { 0 } else { w.bias[o] })
}

/// `out[r,o] = requantize_scaled(dot(o, x[r]), mult[o]·mant[r] / 2^(shift + shift[r])) + bias[o]`, saturating; with
/// `add`, the old `out[r,o]` is added, saturating.
///
/// * `x`: `(rows, 2 + inputs)` narrow; `out`: `(rows, outputs)` wide
/// * error: ½ step of 2^-16 and 2^-31 of the value; the product itself is exact
pub fn row_linear(w: &Weights, x: &[i16], out: &mut [i32], add: bool) -> Option<()> {
    for (x, out) in x.chunks_exact(HEADER + w.inputs).zip(out.chunks_exact_mut(w.outputs)) {
        let (scale, x) = split(x)?;
        for o in 0..w.outputs {
            let y = exact(dot(w, x, o), w, scale, factor(w, o));
            out[o] = if add { out[o].saturating_add(y) } else { y };
        }
    }
    Some(())
}

/// The first half of an MLP: `h[j] = act(y[2j])·y[2j+1]` (gated) or `act(y[j])`, y as [`row_linear`] gives it; the narrow
/// row `quantize(h)`, zeros behind it up to the output's length.
///
/// * `x`: `(rows, 2 + inputs)` narrow; `out`: `(rows, out_len)` narrow; `hidden`: scratch for the results of a row
/// * rounding: [`super::Activation::apply`], then once the product, then [`quantize`]
pub fn mlp_up(p: &MlpUp, w: &Weights, x: &[i16], out: &mut [i16], out_len: usize, hidden: &mut [i32]) -> Option<()> {
    let results = if p.gated { w.outputs / 2 } else { w.outputs };
    for (x, out) in x.chunks_exact(HEADER + w.inputs).zip(out.chunks_exact_mut(out_len)) {
        let (scale, x) = split(x)?;
        let y = |o: usize| exact(dot(w, x, o), w, scale, factor(w, o));
        for j in 0..results {
            hidden[j] = match p.gated {
                true => product(p.activation.apply(y(2 * j)), y(2 * j + 1)),
                false => p.activation.apply(y(j)),
            };
        }
        quantize(&hidden[..results], WIDE_UNIT, p.bits, out)?;
    }
    Some(())
}
