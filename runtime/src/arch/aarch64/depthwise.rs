//! Depthwise convolutions: eight channels at a time.
//!
//! The rows under a row of outputs stand in a ring of rows, widened to 16 bits and padding filled in, so that outputs may take
//! the place of inputs.
#![allow(unsafe_code)]

use core::arch::aarch64::*;
use core::arch::asm;
use core::array::from_fn;

use super::vector::{Factors, Landing};
use crate::arch::vector_rounding;
use crate::kernels::Unary;
use crate::kernels::conv::DepthwiseConv2d;

/// Channels of a vector.
const LANES: usize = 8;
/// Most taps of a window.
const TAPS: usize = 25;
/// Inputs that the ring holds: 32 KB on the stack.
const RING: usize = 16 * 1_024;

/// See [`crate::kernels::conv::reference::depthwise_conv2d`]. `None`, and nothing is written, where the plain kernel must do
/// it: channels that are no multiple of eight or have several outputs, large windows, rows for which the ring is too small, shifts
/// of several kinds.
pub fn depthwise_conv2d(p: &DepthwiseConv2d<i8>, operands: &mut Unary<'_, i8>, w: &[i8]) -> Option<()> {
    if matches!(operands, Unary::Overlapping { .. }) {
        return None;
    }
    let landing = Landing::new(&p.requant, vector_rounding(p.requant.shift)?);
    let (c, window) = (p.in_channels, p.window);
    let ([kh, kw], [out_h, out_w]) = (window.kernel, window.output);
    let taps = kh.checked_mul(kw)?;
    let [in_len, out_len] =
        [window.input, window.output].map(|[h, w]| h.checked_mul(w)?.checked_mul(c)?.checked_mul(p.batch));
    let (in_len, out_len) = (in_len?, out_len?);
    // From the first channel of a row's first pixel to behind the last channel of its last, as one tap sees them, and as all do.
    let span = out_w.checked_sub(1)?.checked_mul(window.stride[1])?.checked_add(1)?.checked_mul(c)?;
    let row_len = kw.checked_sub(1)?.checked_mul(window.dilation[1])?.checked_mul(c)?.checked_add(span)?;
    let reach = kh.checked_sub(1)?.checked_mul(window.dilation[0])?.checked_add(1)?;
    let complete = p.multiplier == 1
        && c > 0
        && c.is_multiple_of(LANES)
        && taps <= TAPS
        && w.len() >= taps.checked_mul(c)?
        && [p.requant.bias.len(), p.requant.mult.len(), p.requant.shift.len()] == [c; 3]
        && operands.x().len() >= in_len
        && operands.y().len() >= out_len
        && reach.checked_mul(row_len)? <= RING
        && (operands.is_apart() || (window.input == window.output && kh > window.pad[0]));
    if !complete {
        return None;
    }
    let mut ring = [0_i16; RING];
    for n in 0..p.batch {
        // Rows of the padded image that stand in the ring.
        let mut next = 0;
        for oy in 0..out_h {
            let top = oy * window.stride[0];
            next = next.max(top);
            while next < top + reach {
                let image = operands.x().get(n * in_len.checked_div(p.batch)?..)?;
                gather(p, image, next, ring.get_mut((next % reach) * row_len..)?.get_mut(..row_len)?)?;
                next += 1;
            }
            // Behind the last tap, the last: it is not read.
            let mut from = [ring.get(..span)?; TAPS];
            for (tap, from) in from.iter_mut().enumerate() {
                let (i, j) = (tap.min(taps - 1) / kw, tap.min(taps - 1) % kw);
                let row = (top + i * window.dilation[0]) % reach;
                *from = ring.get(row * row_len + j * window.dilation[1] * c..)?.get(..span)?;
            }
            let y = operands.y().get_mut((n * out_h + oy) * out_w * c..)?.get_mut(..out_w * c)?;
            match taps {
                9 => row::<9>(p, landing, from.get(..9)?, w, y)?,
                _ => row::<0>(p, landing, from.get(..taps)?, w, y)?,
            }
        }
    }
    #[cfg(test)]
    super::tests::made_depthwise(out_len);
    Some(())
}

/// Row `row` of the padded image, from column 0 on.
fn gather(p: &DepthwiseConv2d<i8>, image: &[i8], row: usize, to: &mut [i16]) -> Option<()> {
    let ([in_h, in_w], pad, c) = (p.window.input, p.window.pad, p.in_channels);
    let padding = i16::from(p.pad_value);
    let Some(y) = row.checked_sub(pad[0]).filter(|&y| y < in_h) else {
        to.fill(padding);
        return Some(());
    };
    let left = pad[1].checked_mul(c)?.min(to.len());
    let (left, rest) = to.split_at_mut_checked(left)?;
    let right = (in_w * c).min(rest.len());
    let (middle, right) = rest.split_at_mut_checked(right)?;
    left.fill(padding);
    for (to, &from) in middle.iter_mut().zip(image.get(y * in_w * c..)?) {
        *to = from.into();
    }
    right.fill(padding);
    Some(())
}

/// A row of outputs of inputs `from`, a slice for each tap. `KNOWN` is how many there are, or 0.
#[inline(never)]
fn row<const KNOWN: usize>(
    p: &DepthwiseConv2d<i8>,
    landing: Landing,
    from: &[&[i16]],
    w: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let c = p.in_channels;
    let step = p.window.stride[1] * c;
    let pixels = y.len().checked_div(c)?;
    let span = (pixels.checked_sub(1)?).checked_mul(step)?.checked_add(c)?;
    let enough = c.is_multiple_of(LANES)
        && from.len() <= TAPS
        && from.len() >= KNOWN
        && w.len() >= from.len() * c
        && from.iter().all(|from| from.len() >= span);
    if !enough {
        return None;
    }
    for first in (0..c).step_by(LANES) {
        let factors = Factors::new(&p.requant, landing, first)?;
        // SAFETY: channels `first` to `first + 7` of `from.len()` taps are there.
        let weights = |tap: usize| unsafe { vmovl_s8(vld1_s8(w.as_ptr().add(tap * c + first))) };
        let known: [int16x8_t; KNOWN] = from_fn(weights);
        let starts: [*const i16; KNOWN] = from_fn(|tap| from.get(tap).map_or(core::ptr::null(), |from| from.as_ptr()));
        for pixel in 0..pixels {
            let at = pixel * step + first;
            let mut acc = factors.bias;
            if KNOWN > 0 {
                for (start, &weights) in starts.iter().zip(&known) {
                    // SAFETY: eight inputs of this pixel, whose last channel is within `span`; there are `KNOWN` slices.
                    add_products(&mut acc, unsafe { vld1q_s16(start.add(at)) }, weights);
                }
            } else {
                for (tap, from) in from.iter().enumerate() {
                    // SAFETY: likewise.
                    add_products(&mut acc, unsafe { vld1q_s16(from.as_ptr().add(at)) }, weights(tap));
                }
            }
            // SAFETY: eight channels of a pixel of the row.
            unsafe { vst1_s8(y.as_mut_ptr().add(pixel * c + first), landing.finish8(acc, &factors)) };
        }
    }
    Some(())
}

/// Adds eight products to eight sums.
#[inline(always)]
fn add_products([low, high]: &mut [int32x4_t; 2], x: int16x8_t, w: int16x8_t) {
    // SAFETY: the target has NEON; the instruction touches nothing but the sums. The intrinsic, whose upper half of weights that stay
    // is taken out of the loop, would take another instruction for that of each input.
    unsafe {
        *low = vmlal_s16(*low, vget_low_s16(x), vget_low_s16(w));
        asm!(
            "smlal2 {high:v}.4s, {x:v}.8h, {w:v}.8h",
            high = inout(vreg) *high,
            x = in(vreg) x,
            w = in(vreg) w,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
}
