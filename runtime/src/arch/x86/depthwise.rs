#![allow(unsafe_code)]
//! Depthwise convolutions with AVX-512: sixteen channels at a time, or, of few channels, neighbouring pixels.
//!
//! The rows under a row of outputs stand in a ring of rows, padding filled in, so that outputs may take the place of inputs.

use core::arch::x86_64::*;

use super::vnni::{Bytes, Factors, LANES, Landing, Memory, SPILL, copy, fill, low_mask, rounding, store, vnni};
use crate::fixed::Rounding;
use crate::kernels::Unary;
use crate::kernels::conv::DepthwiseConv2d;

/// Most taps of a window.
const TAPS: usize = 25;
/// Vectors of [`Factors`].
const HEAD: usize = size_of::<Factors>() / 64;

/// See [`crate::kernels::conv::reference::depthwise_conv2d`]. `None`, and nothing is written, where the plain kernel must do
/// it.
pub fn depthwise_conv2d(p: &DepthwiseConv2d<i8>, operands: &mut Unary<'_, i8>, w: &[i8]) -> Option<()> {
    if !vnni() || matches!(operands, Unary::Overlapping { .. }) {
        return None;
    }
    let rounding = rounding(&p.requant)?;
    let (c, [kh, kw]) = (p.in_channels, p.window.kernel);
    let taps = kh.checked_mul(kw)?;
    let [in_len, out_len] =
        [p.window.input, p.window.output].map(|[h, w]| h.checked_mul(w)?.checked_mul(c)?.checked_mul(p.batch));
    let complete = p.multiplier == 1
        && (1..=TAPS).contains(&taps)
        && c > 0
        && w.len() >= taps.checked_mul(c)?
        && [p.requant.bias.len(), p.requant.mult.len(), p.requant.shift.len()] == [c; 3]
        && operands.x().len() >= in_len?
        && operands.y().len() >= out_len?
        && (operands.is_apart() || (p.window.input == p.window.output && kh > p.window.pad[0]));
    if !complete {
        return None;
    }
    // SAFETY: the processor has AVX-512, and the slices are long enough.
    unsafe { run(p, rounding, operands, w) }
}

/// How channels lie in vectors.
#[derive(Clone, Copy)]
struct Lanes {
    channels: usize,
    /// Pixels of a vector.
    pixels: usize,
    /// Vectors for all channels of them.
    vectors: usize,
}

impl Lanes {
    /// Neighbouring pixels share a vector where their inputs are neighbours too.
    fn new(channels: usize, stride: usize) -> Self {
        let pixels =
            if stride == 1 && channels < LANES && LANES.is_multiple_of(channels) { LANES / channels } else { 1 };
        Self { channels, pixels, vectors: channels.div_ceil(LANES) }
    }

    /// The channel of a lane; beyond the channels if there is none.
    fn channel(self, vector: usize, lane: usize) -> usize {
        if self.pixels > 1 { lane % self.channels } else { vector * LANES + lane }
    }
}

/// # Safety
/// The slices are as long as [`depthwise_conv2d`] wants them.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn run(p: &DepthwiseConv2d<i8>, rounding: Rounding, operands: &mut Unary<'_, i8>, w: &[i8]) -> Option<()> {
    let (mut memory, mut bytes) = (Memory::new(), Bytes::new());
    let (c, window) = (p.in_channels, p.window);
    let ([in_h, in_w], [out_h, out_w], [kh, kw]) = (window.input, window.output, window.kernel);
    let lanes = Lanes::new(c, window.stride[1]);
    // Padded columns that windows see.
    let columns =
        (out_w.checked_sub(1)?).checked_mul(window.stride[1])?.checked_add((kw - 1) * window.dilation[1] + 1)?;
    let reach = (kh - 1).checked_mul(window.dilation[0])?.checked_add(1)?;
    let row_len = columns.checked_mul(c)?;
    // What is written to a row of the ring does not reach the next.
    let pitch = row_len.checked_add(SPILL)?;
    let ring = bytes.room(reach.checked_mul(pitch)?)?;
    let per_vector = HEAD + kh * kw;
    let constants = memory.room(lanes.vectors.checked_mul(per_vector)?)?;
    for vector in 0..lanes.vectors {
        // SAFETY: there is room for the constants of all vectors.
        unsafe {
            let to = constants.add(vector * per_vector);
            if lanes.pixels == 1 {
                let first = vector * LANES;
                to.cast::<Factors>().write(Factors::from(&p.requant, rounding, first));
                let mask = low_mask((c - first).min(LANES)) as u16;
                for tap in 0..kh * kw {
                    let weights = _mm_maskz_loadu_epi8(mask, w.as_ptr().add(tap * c + first));
                    let weights = _mm512_and_si512(_mm512_cvtepi8_epi32(weights), _mm512_set1_epi32(0xFFFF));
                    to.add(HEAD + tap).write(weights);
                }
                continue;
            }
            to.cast::<Factors>().write(Factors::of(&p.requant, rounding, |lane| lanes.channel(vector, lane)));
            for tap in 0..kh * kw {
                let weight = |lane: usize| match lanes.channel(vector, lane) {
                    channel if channel < c => i32::from(w.get(tap * c + channel).copied().unwrap_or(0)) & 0xFFFF,
                    _ => 0,
                };
                let weights: [i32; LANES] = core::array::from_fn(weight);
                to.add(HEAD + tap).write(_mm512_loadu_si512(weights.as_ptr().cast()));
            }
        }
    }
    let landing = Landing::new(&p.requant, rounding);
    let padding = p.pad_value.cast_unsigned();
    for n in 0..p.batch {
        // Rows of the padded image that stand in the ring.
        let mut next = 0;
        for oy in 0..out_h {
            let top = oy * window.stride[0];
            next = next.max(top);
            while next < top + reach {
                // SAFETY: the row lies in the ring, its parts in the row and in the image.
                unsafe {
                    let row = ring.add((next % reach) * pitch);
                    match next.checked_sub(window.pad[0]).filter(|&y| y < in_h) {
                        Some(y) => {
                            let left = window.pad[1].min(columns);
                            let right = (window.pad[1] + in_w).min(columns);
                            fill(row, left * c, padding);
                            let from = (n * in_h + y) * in_w * c;
                            copy(operands.x().as_ptr().add(from), row.add(left * c), (right - left) * c, 0);
                            fill(row.add(right * c), (columns - right) * c, padding);
                        }
                        None => fill(row, row_len, padding),
                    }
                }
                next += 1;
            }
            let start = (n * out_h + oy) * out_w * c;
            let results = operands.y().get_mut(start..)?.get_mut(..out_w * c)?;
            let mut rows = [core::ptr::null::<u8>(); TAPS];
            for (tap, from) in rows.iter_mut().enumerate().take(kh * kw) {
                let (i, j) = (tap / kw, tap % kw);
                // SAFETY: taps lie in the ring.
                *from =
                    unsafe { ring.add(((top + i * window.dilation[0]) % reach) * pitch + j * window.dilation[1] * c) };
            }
            let step = window.stride[1] * c * lanes.pixels;
            // SAFETY: the constants are written, and taps and results of all pixels are there.
            unsafe {
                match kh * kw {
                    9 => row::<9>(lanes, constants, &rows, 9, step, &landing, results),
                    taps => row::<0>(lanes, constants, &rows, taps, step, &landing, results),
                }
            }
        }
    }
    Some(())
}

/// A row of outputs; `KNOWN` taps, or, if that is 0, `taps`.
///
/// # Safety
/// The constants of all vectors are written. From each tap on, the inputs of all pixels can be read, `step` bytes from one vector
/// of pixels to the next, and sixteen bytes behind them.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn row<const KNOWN: usize>(
    lanes: Lanes,
    constants: *const __m512i,
    from: &[*const u8; TAPS],
    taps: usize,
    step: usize,
    landing: &Landing,
    results: &mut [i8],
) {
    let taps = if KNOWN > 0 { KNOWN } else { taps };
    let size = lanes.channels * lanes.pixels;
    for vector in 0..lanes.vectors {
        // SAFETY: as the caller promises; of the results only what there is is written.
        unsafe {
            let head = constants.add(vector * (HEAD + taps));
            let factors = *head.cast::<Factors>();
            let w = head.add(HEAD);
            let known: [__m512i; KNOWN] = core::array::from_fn(|tap| w.add(tap).read());
            let first = vector * LANES;
            let mut rest = results.len();
            let mut at = 0;
            let mut to = results.as_mut_ptr().add(first);
            while rest > 0 {
                let mut acc = factors.bias;
                // Of each pair of 16 bits, in which a value stands with its sign, the upper half of the weights is 0.
                let plus = |acc: __m512i, tap: usize, weights: __m512i| {
                    let x = _mm_loadu_si128(from.get_unchecked(tap).add(at + first).cast());
                    _mm512_dpwssd_epi32(acc, _mm512_cvtepi8_epi32(x), weights)
                };
                if KNOWN > 0 {
                    for (tap, &weights) in known.iter().enumerate() {
                        acc = plus(acc, tap, weights);
                    }
                } else {
                    for tap in 0..taps {
                        acc = plus(acc, tap, w.add(tap).read());
                    }
                }
                let count = size.min(rest);
                store(to, count - first, landing.finish(&factors, acc));
                rest -= count;
                at += step;
                to = to.wrapping_add(size);
            }
        }
    }
}
