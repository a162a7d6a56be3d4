//! Depthwise convolution of any window, four channels at a time: see [`crate::arch::dsp_depthwise`].

use super::{DepthwiseConv2d, Window};
use crate::arch::dsp_depthwise::{Taps, quad_taps};
use crate::arch::{finish_all, vector_rounding};

/// See [`super::reference::depthwise_conv2d`]. `None` unless there is one output channel for each input channel, and their
/// number a multiple of 4.
///
/// The sums of all channels stand in `acc`, and each row of the window is added to them; a word holds the values, or
/// weights, of four channels at one tap.
#[inline(never)]
pub fn depthwise_conv2d(p: &DepthwiseConv2d<i8>, x: &[i8], w: &[i8], out: &mut [i8], acc: &mut [i32]) -> Option<()> {
    if p.multiplier != 1 || !p.in_channels.is_multiple_of(4) {
        return None;
    }
    let window = level(&p.window);
    let channels = p.in_channels;
    let ([in_h, in_w], [out_h, out_w], [kernel_h, kernel_w]) = (window.input, window.output, window.kernel);
    let acc = acc.get_mut(..channels)?;
    let inside = Taps { count: 0, steps: [window.dilation[1].checked_mul(channels)?, channels], quad_step: 4 };
    let outside = Taps { count: 0, steps: [0, channels], quad_step: 0 };
    let padding = [p.pad_value; 4];
    let rounding = vector_rounding(p.requant.shift);
    let images = x.chunks_exact((in_h * in_w * channels).max(1));
    let results = out.chunks_exact_mut((out_h * out_w * channels).max(1));
    for (image, result) in images.zip(results).take(p.batch) {
        for (at, pixel) in result.chunks_exact_mut(channels.max(1)).enumerate() {
            let (oy, ox) = (at.checked_div(out_w)?, at.checked_rem(out_w)?);
            let (columns, left) = window.taps(1, ox);
            acc.copy_from_slice(p.requant.bias.get(..channels)?);
            for i in 0..kernel_h {
                let w = w.get(i * kernel_w * channels..)?;
                let (first, count) = match window.tap(0, oy, i) {
                    Some(y) if !columns.is_empty() => {
                        let x = image.get((y * in_w + left) * channels..)?;
                        let taps = Taps { count: columns.len(), ..inside };
                        quad_taps(&taps, x, w.get(columns.start * channels..)?, acc)?;
                        (columns.start, columns.len())
                    }
                    _ => (0, 0),
                };
                if count < kernel_w {
                    quad_taps(&Taps { count: first, ..outside }, &padding, w, acc)?;
                    let behind = w.get((first + count) * channels..).unwrap_or(&[]);
                    quad_taps(&Taps { count: kernel_w - first - count, ..outside }, &padding, behind, acc)?;
                }
            }
            finish_all(&p.requant, rounding, acc, pixel);
        }
    }
    Some(())
}

/// The window, a column taken for a row: in memory they are the same, and a row's taps are one loop.
fn level(window: &Window) -> Window {
    let Window { input, output, kernel, pad, .. } = window;
    if [input[1], kernel[1], output[1], pad[1]] == [1, 1, 1, 0] { window.flipped() } else { *window }
}
