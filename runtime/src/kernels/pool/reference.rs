//! The specification of the pools. Never optimised.
#![allow(clippy::indexing_slicing, reason = "the specification reads like its formula")]

use super::{Divisors, Pool2d};
use crate::fixed::{Multiplier, clamp_s8, rounding_divide_away};
use crate::kernels::{Accumulator, Element};

/// Calls `each` with the indices of input values under each output value.
fn windows<E>(p: &Pool2d<E>, mut each: impl FnMut(usize, &mut dyn Iterator<Item = usize>)) {
    let [in_h, in_w] = p.window.input;
    let [out_h, out_w] = p.window.output;
    let [kernel_h, kernel_w] = p.window.kernel;
    for n in 0..p.batch {
        for y in 0..out_h {
            for x in 0..out_w {
                for c in 0..p.channels {
                    let taps = (0..kernel_h).flat_map(|i| (0..kernel_w).map(move |j| (i, j)));
                    let mut inside = taps.filter_map(|(i, j)| {
                        let (r, s) = (p.window.tap(0, y, i)?, p.window.tap(1, x, j)?);
                        Some(((n * in_h + r) * in_w + s) * p.channels + c)
                    });
                    each(((n * out_h + y) * out_w + x) * p.channels + c, &mut inside);
                }
            }
        }
    }
}

/// 2-D maximum pooling.
///
/// `out[n,y,x,c] = clamp(max_{i,j} in[n, y·s_y + i − p_y, x·s_x + j − p_x, c])` over the taps that are no padding.
///
/// * `x`: `(batch, height, width, channels)`; `out`: `(batch, out height, out width, channels)`
/// * input and output have the same scale and zero point; nothing is rounded
pub fn max_pool2d<E: Element>(p: &Pool2d<E>, x: &[E], out: &mut [E]) -> Option<()> {
    windows(p, |o, taps| {
        let max = taps.map(|i| x[i]).max().unwrap_or(E::MIN);
        out[o] = E::limit(max.widen(), p.output.min, p.output.max);
    });
    Some(())
}

/// 2-D average pooling of int8 with TensorFlow Lite's rounding.
///
/// `out[n,y,x,c] = clamp((Σ_{i,j} in[…]) / count)` over the `count` taps that are no padding, to nearest, halves away from zero
///
/// * `x`, `out`: as [`max_pool2d`], of the same scale and zero point, which play no part
/// * ranges: a window holds at most 2^23 taps, so that the sum stays below 2^31
/// * rounding: [`rounding_divide_away`]
/// * source: TensorFlow Lite's int8 AVERAGE_POOL_2D
pub fn avg_pool2d_tflite(p: &Pool2d<i8>, x: &[i8], out: &mut [i8]) -> Option<()> {
    windows(p, |o, taps| {
        let (mut sum, mut count) = (0, 0);
        for i in taps {
            sum += i32::from(x[i]);
            count += 1;
        }
        out[o] = clamp_s8(rounding_divide_away(sum, count), p.output.min, p.output.max);
    });
    Some(())
}

/// 2-D average pooling.
///
/// `out[n,y,x,c] = clamp(z_y + requantize(Σ_{i,j} (in[…] − z_x), m[count]))` over the `count` taps that are no padding.
///
/// * `x`, `out`: as [`max_pool2d`]
/// * `d.mult`, `d.shift`: `s_x / (s_y · divisor)` as fixed-point factors, 1 or `kernel height · kernel width` of them
/// * ranges: a window holds at most 2^23 taps, so that the sum (in int8 i32, in int16 i64) cannot overflow
/// * rounding: [`crate::fixed::requantize`] or [`crate::fixed::requantize_i64`], once
/// * error: at most ½ + 2^-23 steps of an int8 output, ½ + 2^-15 of an int16 output, against the real factor's result, clamped
pub fn avg_pool2d<E: Element>(p: &Pool2d<E>, d: &Divisors, x: &[E], out: &mut [E]) -> Option<()> {
    windows(p, |o, taps| {
        let (mut sum, mut count) = (E::Sum::default(), 0);
        for i in taps {
            sum = sum.plus(x[i].widen() - d.in_zero_point);
            count += 1;
        }
        let entry = if d.mult.len() == 1 { 0 } else { count - 1 };
        let m = Multiplier { mult: d.mult[entry], shift: d.shift[entry] };
        out[o] = p.output.finish(sum.requantize(m));
    });
    Some(())
}
