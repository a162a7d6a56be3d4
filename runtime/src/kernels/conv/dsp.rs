//! Convolution as a matrix product of gathered windows, by pairs of 16-bit products.

use super::Conv2d;
use super::portable::gather;
use crate::arch::dsp_depthwise::copy_rows;
use crate::arch::{elements, vectors};
use crate::kernels::Unary;
use crate::kernels::linear::dsp::prepare;

/// See [`super::reference::conv2d`]. Grouped convolutions go the way of [`super::portable::conv2d`].
pub fn conv2d(p: &Conv2d<i8>, operands: Unary<'_, i8>, w: &[i8], scratch: &mut [u8]) -> Option<()> {
    match p.groups {
        1 => dense_conv2d(p, operands, w, scratch),
        _ => super::portable::conv2d(p, operands, w, elements(scratch)),
    }
}

/// [`conv2d`] of one group; `None` for several.
///
/// As many windows as the scratch memory holds, up to four, are copied to it, padding filled in; then they are vectors
/// of a matrix product, to which the rest of the scratch memory goes.
#[inline(always)]
pub fn dense_conv2d(p: &Conv2d<i8>, mut operands: Unary<'_, i8>, w: &[i8], scratch: &mut [u8]) -> Option<()> {
    if p.groups != 1 {
        return None;
    }
    let [in_h, in_w] = p.window.input;
    let [out_h, out_w] = p.window.output;
    let depth = p.depth()?;
    let (windows, patch_len) = match scratch.len() >= super::wished_scratch(depth)? {
        true => (4, depth.checked_next_multiple_of(4)?.checked_mul(4)?),
        false => (1, depth),
    };
    let (patches, block) = scratch.split_at_mut_checked(patch_len)?;
    let (patches, block): (&mut [i8], _) = (elements(patches), elements(block));
    let row_step = in_w * p.in_channels * p.window.dilation[0];
    let product = prepare(&p.requant, depth, w)?;
    let [image_len, result_len] = [in_h * in_w * p.in_channels, out_h * out_w * p.out_channels];
    for n in 0..p.batch {
        let (mut oy, mut ox, mut at) = (0, 0, 0);
        while at < result_len {
            let len = (windows * p.out_channels).min(result_len - at);
            let count = len.checked_div(p.out_channels)?;
            let patches = patches.get_mut(..count.checked_mul(depth)?)?;
            let image = operands.x().get(n * image_len..)?.get(..image_len)?;
            for patch in patches.chunks_exact_mut(depth.max(1)) {
                match p.window.inside(oy, ox) {
                    Some(at) => copy_rows(image.get(at * p.in_channels..)?, row_step, p.window.kernel[0], patch)?,
                    None => gather(&p.window, image, p.in_channels, p.in_channels, (oy, ox), p.pad_value, patch)?,
                }
                ox += 1;
                if ox == out_w {
                    (oy, ox) = (oy + 1, 0);
                }
            }
            let pixels = operands.y().get_mut(n * result_len + at..)?.get_mut(..len)?;
            vectors(&product, patches, pixels, block)?;
            at += len;
        }
    }
    Some(())
}
