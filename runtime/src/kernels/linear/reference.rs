//! The specification of the matrix products. Never optimised.
#![allow(clippy::indexing_slicing, reason = "the specification reads like its formula")]

use super::FullyConnected;
use crate::fixed::Multiplier;

/// Fully connected layer.
///
/// `out[r,o] = finish(bias[o] + Σ_i w[o,i] · x[r,i])`
///
/// * `x`: `(rows, inputs)`
/// * `w`: `(outputs, inputs)` row-major
/// * `out`: `(rows, outputs)`
/// * ranges: `inputs · 2^14 + |bias| < 2^31`, so that the i32 accumulator cannot overflow
/// * rounding: [`crate::fixed::requantize`], once
/// * error: at most ½ + 2^-23 steps of the output against the real factor's result, clamped
/// * source: Jacob et al., CVPR 2018, with the zero point of the input folded into the bias
pub fn fully_connected_s8(p: &FullyConnected, x: &[i8], w: &[i8], out: &mut [i8]) -> Option<()> {
    for r in 0..p.rows {
        for o in 0..p.outputs {
            let mut acc = p.requant.bias[o];
            for i in 0..p.inputs {
                acc += i32::from(w[o * p.inputs + i]) * i32::from(x[r * p.inputs + i]);
            }
            let m = Multiplier { mult: p.requant.mult[o], shift: p.requant.shift[o] };
            out[r * p.outputs + o] = p.requant.finish(acc, m);
        }
    }
    Some(())
}
