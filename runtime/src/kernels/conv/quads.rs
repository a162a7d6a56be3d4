//! Depthwise convolution of any window, four channels at a time: see [`crate::arch::dsp`].

use super::{DepthwiseConv2d, Window};
use crate::arch::dsp::quad_taps;
use crate::fixed::Multiplier;

/// See [`super::reference::depthwise_conv2d`]. `None` unless there is one output channel for each input channel, and their
/// number a multiple of 4.
///
/// A word holds the values, or weights, of four channels at one tap.
pub fn depthwise_conv2d(p: &DepthwiseConv2d<i8>, x: &[i8], w: &[i8], out: &mut [i8]) -> Option<()> {
    if p.multiplier != 1 || !p.in_channels.is_multiple_of(4) {
        return None;
    }
    let window = level(&p.window);
    let channels = p.in_channels;
    let ([in_h, in_w], [out_h, out_w], [kernel_h, kernel_w]) = (window.input, window.output, window.kernel);
    let step = window.dilation[1].checked_mul(channels)?;
    let padding = [p.pad_value; 4];
    let images = x.chunks_exact((in_h * in_w * channels).max(1));
    let results = out.chunks_exact_mut((out_h * out_w * channels).max(1));
    for (image, result) in images.zip(results).take(p.batch) {
        for (at, pixel) in result.chunks_exact_mut(channels.max(1)).enumerate() {
            let (oy, ox) = (at.checked_div(out_w)?, at.checked_rem(out_w)?);
            let (columns, left) = window.taps(1, ox);
            for (c, values) in (0..channels).step_by(4).zip(pixel.as_chunks_mut::<4>().0) {
                let mut sums = *p.requant.bias.get(c..)?.first_chunk()?;
                for i in 0..kernel_h {
                    let w = w.get(i * kernel_w * channels + c..)?;
                    let (inside, before) = match window.tap(0, oy, i) {
                        Some(y) if !columns.is_empty() => {
                            let x = image.get((y * in_w + left) * channels + c..)?;
                            let inside = w.get(columns.start * channels..)?;
                            sums = quad_taps(x, step, inside, channels, columns.len(), sums)?;
                            (columns.len(), columns.start)
                        }
                        _ => (0, 0),
                    };
                    if inside < kernel_w {
                        let after = before + inside;
                        sums = quad_taps(&padding, 0, w, channels, before, sums)?;
                        let w = w.get(after * channels..).unwrap_or(&[]);
                        sums = quad_taps(&padding, 0, w, channels, kernel_w - after, sums)?;
                    }
                }
                let factors = p.requant.mult.get(c..)?.iter().zip(p.requant.shift.get(c..)?);
                for ((value, sum), (&mult, &shift)) in values.iter_mut().zip(sums).zip(factors) {
                    *value = p.requant.finish(sum, Multiplier { mult, shift });
                }
            }
        }
    }
    Some(())
}

/// The window, a column taken for a row: in memory they are the same, and a row's taps are one loop.
fn level(window: &Window) -> Window {
    let Window { input, output, kernel, stride, dilation, pad } = *window;
    if [input[1], kernel[1], output[1], pad[1]] != [1, 1, 1, 0] {
        return *window;
    }
    let flip = |[a, b]: [usize; 2]| [b, a];
    Window {
        input: flip(input),
        output: flip(output),
        kernel: flip(kernel),
        stride: flip(stride),
        dilation: flip(dilation),
        pad: flip(pad),
    }
}
