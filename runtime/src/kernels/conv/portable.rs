//! Convolutions in plain Rust that any target runs well.

use super::{Conv2d, DepthwiseConv2d, Window};
use crate::arch::{copy_lines, vector_rounding};
use crate::fixed::Rounding;
use crate::kernels::dot::rows;
use crate::kernels::{Accumulator, Element, PerChannel, Unary};

/// Bytes of scratch memory that [`conv2d`] needs: one window of the input, all groups.
pub fn conv2d_scratch_len<E: Element>(p: &Conv2d<E>) -> Option<usize> {
    p.depth()?.checked_mul(p.groups)?.checked_mul(size_of::<E>())
}

/// See [`super::reference::conv2d`].
///
/// Each window is copied to `scratch` once, padding filled in, group by group; then all its output channels are dot
/// products of contiguous rows, four at a time.
#[inline(never)]
pub fn conv2d<E: Element>(p: &Conv2d<E>, mut operands: Unary<'_, E>, w: &[i8], scratch: &mut [E]) -> Option<()> {
    let [in_h, in_w] = p.window.input;
    let [out_h, out_w] = p.window.output;
    let depth = p.depth()?;
    let group_in = p.in_channels.checked_div(p.groups)?;
    let group_out = p.out_channels.checked_div(p.groups)?;
    let patch = scratch.get_mut(..depth.checked_mul(p.groups)?)?;
    let rounding = vector_rounding(p.requant.shift);
    let (image_len, result_len) = (in_h * in_w * p.in_channels, out_h * out_w * p.out_channels);
    for n in 0..p.batch {
        for (at, (oy, ox)) in (0..out_h).flat_map(|y| (0..out_w).map(move |x| (y, x))).enumerate() {
            let image = operands.x().get(n * image_len..)?.get(..image_len)?;
            gather(&p.window, image, p.in_channels, group_in, (oy, ox), p.pad_value, patch)?;
            let pixel = n * result_len + at * p.out_channels;
            let pixel = operands.y().get_mut(pixel..)?.get_mut(..p.out_channels)?;
            // Slices by multiplication: iterators over chunks divide, which takes long where no instruction does it.
            for g in 0..p.groups {
                let patch = patch.get(g * depth..)?.get(..depth)?;
                let w = w.get(g * depth * group_out..)?.get(..depth * group_out)?;
                let pixel = pixel.get_mut(g * group_out..)?.get_mut(..group_out)?;
                pixel_of(&p.requant, rounding, g * group_out, patch, w, pixel)?;
            }
        }
    }
    Some(())
}

/// [`rows`], inline unless they are long code that fully connected layers have inline too.
#[cfg_attr(target_arch = "riscv32", inline(never))]
#[cfg_attr(not(target_arch = "riscv32"), inline(always))]
fn pixel_of<E: Element>(
    requant: &PerChannel<E>,
    rounding: Option<Rounding>,
    first: usize,
    patch: &[E],
    w: &[i8],
    pixel: &mut [E],
) -> Option<()> {
    rows(requant, rounding, first, patch, w, pixel)
}

/// Copies the window of output `(oy, ox)` to `patch`: `(groups, kernel height, kernel width, channels of a group)`.
#[inline(always)]
pub(super) fn gather<E: Element>(
    window: &Window,
    image: &[E],
    channels: usize,
    group_channels: usize,
    (oy, ox): (usize, usize),
    pad_value: E,
    patch: &mut [E],
) -> Option<()> {
    let [_, in_w] = window.input;
    let [kernel_h, kernel_w] = window.kernel;
    if let (true, Some(at)) = (group_channels == channels, window.inside(oy, ox)) {
        let (line, lines) = (window.dilation[0] * in_w * channels, [kernel_h, kernel_w * channels]);
        return copy_lines(image.get(at * channels..)?, line, lines, patch);
    }
    let line_len = kernel_w * group_channels;
    let mut rest = patch;
    let mut first = 0;
    while first < channels && group_channels > 0 {
        for i in 0..kernel_h {
            let (line, others) = core::mem::take(&mut rest).split_at_mut_checked(line_len)?;
            rest = others;
            let Some(y) = window.tap(0, oy, i) else {
                line.fill(pad_value);
                continue;
            };
            let row = image.get(y * in_w * channels..)?.get(..in_w * channels)?;
            if group_channels == channels && window.dilation[1] == 1 {
                // Neighbouring taps are neighbours in memory: one copy between the paddings.
                let (taps, x) = window.taps(1, ox);
                let (left, rest) = line.split_at_mut_checked(taps.start * channels)?;
                let (middle, right) = rest.split_at_mut_checked(taps.len() * channels)?;
                left.fill(pad_value);
                middle.copy_from_slice(row.get(x * channels..)?.get(..middle.len())?);
                right.fill(pad_value);
                continue;
            }
            for (j, tap) in line.chunks_exact_mut(group_channels.max(1)).enumerate() {
                match window.tap(1, ox, j) {
                    Some(x) => {
                        let values = row.get(x * channels + first..)?.get(..group_channels)?;
                        tap.iter_mut().zip(values).for_each(|(to, &from)| *to = from);
                    }
                    None => tap.fill(pad_value),
                }
            }
        }
        first += group_channels;
    }
    Some(())
}

/// Bytes of scratch memory that [`depthwise_conv2d`] needs: an accumulator a channel.
pub fn depthwise_conv2d_scratch_len<E: Element>(p: &DepthwiseConv2d<E>) -> Option<usize> {
    p.in_channels.checked_mul(p.multiplier)?.checked_mul(size_of::<E::Sum>())
}

/// See [`super::reference::depthwise_conv2d`].
///
/// The accumulators of all channels stand in `acc`; each tap adds its products to them, so that weights, input and
/// accumulators are all read in order.
#[inline(never)]
pub fn depthwise_conv2d<E: Element>(
    p: &DepthwiseConv2d<E>,
    x: &[E],
    w: &[i8],
    out: &mut [E],
    acc: &mut [E::Sum],
) -> Option<()> {
    let [in_h, in_w] = p.window.input;
    let [out_h, out_w] = p.window.output;
    let [kernel_h, kernel_w] = p.window.kernel;
    let channels = p.in_channels.checked_mul(p.multiplier)?;
    let acc = acc.get_mut(..channels)?;
    let pad = p.pad_value.widen();
    let images = x.chunks_exact((in_h * in_w * p.in_channels).max(1));
    let results = out.chunks_exact_mut((out_h * out_w * channels).max(1));
    for (image, result) in images.zip(results).take(p.batch) {
        let pixels = result.chunks_exact_mut(channels.max(1));
        let positions = (0..out_h).flat_map(|y| (0..out_w).map(move |x| (y, x)));
        for ((oy, ox), pixel) in positions.zip(pixels) {
            for (acc, &bias) in acc.iter_mut().zip(p.requant.bias.get(..channels)?) {
                *acc = bias.into();
            }
            let taps = (0..kernel_h).flat_map(|i| (0..kernel_w).map(move |j| (i, j)));
            for ((i, j), w) in taps.zip(w.chunks_exact(channels.max(1))) {
                match (p.window.tap(0, oy, i), p.window.tap(1, ox, j)) {
                    (Some(y), Some(x)) => {
                        let values = image.get((y * in_w + x) * p.in_channels..)?.get(..p.in_channels)?;
                        if p.multiplier == 1 {
                            for ((acc, &w), &value) in acc.iter_mut().zip(w).zip(values) {
                                *acc = acc.plus(i32::from(w) * value.widen());
                            }
                        } else {
                            let m = p.multiplier.max(1);
                            let per_channel = acc.chunks_exact_mut(m).zip(w.chunks_exact(m));
                            for ((acc, w), &value) in per_channel.zip(values) {
                                for (acc, &w) in acc.iter_mut().zip(w) {
                                    *acc = acc.plus(i32::from(w) * value.widen());
                                }
                            }
                        }
                    }
                    _ => {
                        for (acc, &w) in acc.iter_mut().zip(w) {
                            *acc = acc.plus(i32::from(w) * pad);
                        }
                    }
                }
            }
            p.requant.finish_all(acc, pixel);
        }
    }
    Some(())
}
