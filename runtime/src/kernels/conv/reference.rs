//! The specification of the convolutions. Never optimised.
#![allow(clippy::indexing_slicing, reason = "the specification reads like its formula")]

use super::{Conv2d, DepthwiseConv2d};
use crate::fixed::Multiplier;
use crate::kernels::{Accumulator, Element};

/// 2-D convolution.
///
/// `out[n,y,x,o] = finish(bias[o] + Σ_{i,j,c} w[o,i,j,c] · in[n, y·s_y + i·d_y − p_y, x·s_x + j·d_x − p_x, g·C + c])`
///
/// with C = in_channels / groups input channels for each output, g the group of output channel o, and padding read
/// as `pad_value`.
///
/// * `x`: `(batch, height, width, in_channels)`
/// * `w`: `(out_channels, kernel height, kernel width, in_channels / groups)`
/// * `out`: `(batch, out height, out width, out_channels)`
/// * ranges: at most 2^16 − 1 products, so that the accumulator cannot overflow: in int8 it is i32 and `|bias| ≤ 2^30`,
///   in int16 i64
/// * rounding: [`crate::fixed::requantize`] or [`crate::fixed::requantize_i64`], once
/// * source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
///   Inference", CVPR 2018, with the zero point of the input folded into the bias
pub fn conv2d<E: Element>(p: &Conv2d<E>, x: &[E], w: &[i8], out: &mut [E]) -> Option<()> {
    let [in_h, in_w] = p.window.input;
    let [out_h, out_w] = p.window.output;
    let [kernel_h, kernel_w] = p.window.kernel;
    let (group_in, group_out) = (p.in_channels / p.groups, p.out_channels / p.groups);
    for n in 0..p.batch {
        for y in 0..out_h {
            for xx in 0..out_w {
                for o in 0..p.out_channels {
                    let first = o / group_out * group_in;
                    let mut acc = E::Sum::from(p.requant.bias[o]);
                    for i in 0..kernel_h {
                        for j in 0..kernel_w {
                            for c in 0..group_in {
                                let value = match (p.window.tap(0, y, i), p.window.tap(1, xx, j)) {
                                    (Some(r), Some(s)) => x[((n * in_h + r) * in_w + s) * p.in_channels + first + c],
                                    _ => p.pad_value,
                                };
                                let weight = w[((o * kernel_h + i) * kernel_w + j) * group_in + c];
                                acc = acc.plus(value.widen() * i32::from(weight));
                            }
                        }
                    }
                    let m = Multiplier { mult: p.requant.mult[o], shift: p.requant.shift[o] };
                    out[((n * out_h + y) * out_w + xx) * p.out_channels + o] = p.requant.finish(acc, m);
                }
            }
        }
    }
    Some(())
}

/// 2-D depthwise convolution.
///
/// `out[n,y,x,c·M + m] = finish(bias[c·M + m] + Σ_{i,j} w[i,j,c·M + m] · in[n, y·s_y + i·d_y − p_y, x·s_x + j·d_x − p_x, c])`
///
/// with M = `multiplier`, and padding read as `pad_value`.
///
/// * `x`: `(batch, height, width, in_channels)`
/// * `w`: `(kernel height, kernel width, in_channels · multiplier)`
/// * `out`: `(batch, out height, out width, in_channels · multiplier)`
/// * ranges, rounding and source: as [`conv2d`]
pub fn depthwise_conv2d<E: Element>(p: &DepthwiseConv2d<E>, x: &[E], w: &[i8], out: &mut [E]) -> Option<()> {
    let [in_h, in_w] = p.window.input;
    let [out_h, out_w] = p.window.output;
    let [kernel_h, kernel_w] = p.window.kernel;
    let out_channels = p.in_channels * p.multiplier;
    for n in 0..p.batch {
        for y in 0..out_h {
            for xx in 0..out_w {
                for o in 0..out_channels {
                    let mut acc = E::Sum::from(p.requant.bias[o]);
                    for i in 0..kernel_h {
                        for j in 0..kernel_w {
                            let value = match (p.window.tap(0, y, i), p.window.tap(1, xx, j)) {
                                (Some(r), Some(s)) => x[((n * in_h + r) * in_w + s) * p.in_channels + o / p.multiplier],
                                _ => p.pad_value,
                            };
                            acc = acc.plus(value.widen() * i32::from(w[(i * kernel_w + j) * out_channels + o]));
                        }
                    }
                    let m = Multiplier { mult: p.requant.mult[o], shift: p.requant.shift[o] };
                    out[((n * out_h + y) * out_w + xx) * out_channels + o] = p.requant.finish(acc, m);
                }
            }
        }
    }
    Some(())
}
