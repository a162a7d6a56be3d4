//! The specification of the reductions. Never optimised.
#![allow(clippy::indexing_slicing, reason = "the specification reads like its formula")]

use super::Reduce;
use crate::fixed::requantize;

/// Sum or mean over the axes of `p.axes`.
///
/// `out[o] = clamp(z_y + requantize(Σ (x − z_x), m))` over all elements whose coordinates off the reduced axes are o
///
/// * `x`: of shape `p.shape`; `out`: the same with the reduced axes of length 1
/// * ranges: at most 2^23 elements are summed, so that the i32 sum cannot overflow
/// * rounding: [`requantize`], once
/// * error: at most ½ + 2^-23 steps of the output against the real factor's result, clamped
pub fn reduce_s8(p: &Reduce, x: &[i8], out: &mut [i8]) -> Option<()> {
    for (o, out) in out.iter_mut().enumerate() {
        let mut sum = 0;
        for (i, &x) in x.iter().enumerate() {
            if output_of(p, i) == o {
                sum += i32::from(x) - p.in_zero_point;
            }
        }
        *out = p.output.finish(requantize(sum, p.factor));
    }
    Some(())
}

/// The output to which input element `i` counts.
fn output_of(p: &Reduce, i: usize) -> usize {
    let (mut rest, mut output, mut stride) = (i, 0, 1);
    for axis in (0..p.shape.len()).rev() {
        let len = p.shape[axis] as usize;
        if !p.reduces(axis) {
            output += rest % len * stride;
            stride *= len;
        }
        rest /= len;
    }
    output
}
