//! The specification of the matrix products. Never optimised.
#![allow(clippy::indexing_slicing, reason = "the specification reads like its formula")]

use super::FullyConnected;
use crate::fixed::Multiplier;
use crate::kernels::{Accumulator, Element};

/// Fully connected layer.
///
/// `out[r,o] = finish(bias[o] + Σ_i w[o,i] · x[r,i])`
///
/// * `x`: `(rows, inputs)`
/// * `w`: `(outputs, inputs)` row-major
/// * `out`: `(rows, outputs)`
/// * ranges: at most 2^16 − 1 products, so that the accumulator cannot overflow: in int8 it is i32 and `|bias| ≤ 2^30`,
///   in int16 i64; in int32, i64 too, the absolute weights of an output sum to less than 2^16
/// * rounding: [`crate::fixed::requantize`] or [`crate::fixed::requantize_i64`], once
/// * error: at most ½ + 2^-23 steps of an int8 output, ½ + 2^-15 of an int16 output, against the real factor's result, clamped
/// * source: Jacob et al., CVPR 2018, with the zero point of the input folded into the bias
pub fn fully_connected<E: Element>(p: &FullyConnected<E>, x: &[E], w: &[i8], out: &mut [E]) -> Option<()> {
    for r in 0..p.rows {
        for o in 0..p.outputs {
            let mut acc = E::Sum::from(p.requant.bias[o]);
            for i in 0..p.inputs {
                acc = acc.plus_product(x[r * p.inputs + i].widen(), w[o * p.inputs + i].into());
            }
            let m = Multiplier { mult: p.requant.mult[o], shift: p.requant.shift[o] };
            out[r * p.outputs + o] = p.requant.finish(acc, m);
        }
    }
    Some(())
}
