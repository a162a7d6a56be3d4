//! The specification of the reductions. Never optimised.
#![allow(clippy::indexing_slicing, reason = "the specification reads like its formula")]

use super::Reduce;
use crate::kernels::{Accumulator, Element};

/// Sum or mean over the axes of `p.axes`.
///
/// `out[o] = clamp(z_y + requantize(Σ (x − z_x), m))` over all elements whose coordinates off the reduced axes are o
///
/// * `x`: of shape `p.shape`; `out`: the same with the reduced axes of length 1
/// * ranges: at most 2^23 elements are summed, so that the sum (in int8 i32, in int16 i64) cannot overflow
/// * rounding: [`crate::fixed::requantize`] or [`crate::fixed::requantize_i64`], once
/// * error: at most ½ + 2^-23 steps of an int8 output, ½ + 2^-15 of an int16 output, against the real factor's result, clamped
pub fn reduce<E: Element>(p: &Reduce<E>, x: &[E], out: &mut [E]) -> Option<()> {
    for (o, out) in out.iter_mut().enumerate() {
        let mut sum = E::Sum::default();
        for (i, &x) in x.iter().enumerate() {
            if output_of(p, i) == o {
                sum = sum.plus(x.widen() - p.in_zero_point);
            }
        }
        *out = p.output.finish(sum.requantize(p.factor));
    }
    Some(())
}

/// The output to which input element `i` counts.
fn output_of<E: Element>(p: &Reduce<E>, i: usize) -> usize {
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
