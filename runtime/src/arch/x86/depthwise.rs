#![allow(unsafe_code)]
//! Depthwise convolutions: sixteen channels at a time, or, of few channels, neighbouring pixels.
//!
//! The rows under a row of outputs stand in a ring of rows, padding filled in, so that outputs may take the place of inputs.

use core::arch::x86_64::__m128i;

use super::memory::{Panels, Ring, gather};
use super::results::{Factors, Landing, rounding};
use super::set::{LANES, SPILL, Set};
use crate::fixed::Rounding;
use crate::kernels::Unary;
use crate::kernels::conv::DepthwiseConv2d;

/// Most taps of a window.
const TAPS: usize = 25;

/// See [`crate::kernels::conv::reference::depthwise_conv2d`]. `None`, and nothing is written, where the plain kernel must do
/// it.
pub fn depthwise_conv2d(p: &DepthwiseConv2d<i8>, operands: &mut Unary<'_, i8>, w: &[i8]) -> Option<()> {
    if matches!(operands, Unary::Overlapping { .. }) {
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
    at_widest!(run(p: &DepthwiseConv2d<i8>, rounding: Rounding, operands: &mut Unary<'_, i8>, w: &[i8]))
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

/// Weights of a tap as [`Lanes`] has the channels of `vector`; zeros behind the last tap.
#[inline(always)]
fn weights<S: Set>(lanes: Lanes, vector: usize, w: &[i8], tap: usize) -> __m128i {
    let (c, first) = (lanes.channels, vector * LANES);
    let Some(w) = w.get(tap * c..).and_then(|w| w.get(..c)) else {
        // SAFETY: nothing is read.
        return unsafe { S::part(w.as_ptr(), 0) };
    };
    if lanes.pixels == 1 {
        // SAFETY: as many channels are left.
        return unsafe { S::part(w.as_ptr().add(first), (c - first).min(LANES)) };
    }
    let repeated: [i8; LANES] = core::array::from_fn(|lane| w.get(lanes.channel(vector, lane)).copied().unwrap_or(0));
    // SAFETY: sixteen bytes.
    unsafe { S::part(repeated.as_ptr(), LANES) }
}

/// The slices are as long as [`depthwise_conv2d`] wants them.
#[inline(always)]
fn run<S: Set>(p: &DepthwiseConv2d<i8>, rounding: Rounding, operands: &mut Unary<'_, i8>, w: &[i8]) -> Option<()> {
    let (mut panels, mut ring) = (Panels::new(), Ring::new());
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
    let ring = ring.room::<S::Input>(reach.checked_mul(pitch)?)?;
    let taps = kh * kw;
    let w = w.get(..taps * c)?;
    let panel = Factors::<S>::SIZE + taps.div_ceil(S::TAPS) * size_of::<S::Words>();
    let panels = panels.room(lanes.vectors.checked_mul(panel)?)?;
    for vector in 0..lanes.vectors {
        // SAFETY: there is room for all panels; their lengths are multiples of 64.
        unsafe {
            let to = panels.add(vector * panel).cast::<Factors<S>>();
            to.write(Factors::of(&p.requant, rounding, |lane| lanes.channel(vector, lane)));
            let to = to.add(1).cast::<S::Words>();
            for (at, tap) in (0..taps).step_by(S::TAPS).enumerate() {
                let pair = [weights::<S>(lanes, vector, w, tap), weights::<S>(lanes, vector, w, tap + 1)];
                to.add(at).write(S::taps(pair));
            }
        }
    }
    let landing = Landing::<S>::new(&p.requant, rounding);
    for n in 0..p.batch {
        // Rows of the padded image that stand in the ring.
        let mut next = 0;
        for oy in 0..out_h {
            let top = oy * window.stride[0];
            next = next.max(top);
            let image = operands.x().get(n * in_h * in_w * c..)?;
            while next < top + reach {
                // SAFETY: the row lies in the ring, and the columns, which windows see, in the padded image.
                unsafe {
                    let row = ring.add((next % reach) * pitch);
                    gather::<S, false>(image, &window, c, p.pad_value, next, 0..columns, row);
                }
                next += 1;
            }
            let start = (n * out_h + oy) * out_w * c;
            let results = operands.y().get_mut(start..)?.get_mut(..out_w * c)?;
            // Behind the last tap, the last: its weights are zeros.
            let mut from = [ring.cast_const(); TAPS + 1];
            for (tap, from) in from.iter_mut().enumerate() {
                let (i, j) = (tap.min(taps - 1) / kw, tap.min(taps - 1) % kw);
                let row = (top + i * window.dilation[0]) % reach;
                // SAFETY: taps lie in the ring.
                *from = unsafe { ring.add(row * pitch + j * window.dilation[1] * c) };
            }
            let step = window.stride[1] * c * lanes.pixels;
            // SAFETY: the panels are written, and taps and results of all pixels are there.
            unsafe {
                match (taps, S::TAPS) {
                    (9, 1) => row::<S, 9>(lanes, (panels, panel), &from, 9, step, &landing, results),
                    (9, 2) => row::<S, 5>(lanes, (panels, panel), &from, 9, step, &landing, results),
                    _ => row::<S, 0>(lanes, (panels, panel), &from, taps, step, &landing, results),
                }
            }
        }
    }
    Some(())
}

/// Adds the products of step `i` of the taps, whose inputs stand `at` behind `from`.
///
/// # Safety
/// There are sixteen.
#[inline(always)]
unsafe fn plus<S: Set>(
    acc: S::Words,
    from: &[*const S::Input; TAPS + 1],
    i: usize,
    at: usize,
    weights: S::Words,
) -> S::Words {
    // SAFETY: as the caller promises; no index is beyond `TAPS`.
    unsafe {
        let [a, b] = [i * S::TAPS, i * S::TAPS + 1].map(|tap| from.get_unchecked(tap.min(TAPS)).add(at));
        S::plus_taps(acc, [a, b], weights)
    }
}

/// A row of outputs; `KNOWN` steps of [`Set::TAPS`] taps, or, if that is 0, as many as `taps` need.
///
/// # Safety
/// The panels of all vectors are written, each so long. From each tap on, the inputs of all pixels can be read, `step` from one
/// vector of pixels to the next, and sixteen behind them.
#[inline(always)]
unsafe fn row<S: Set, const KNOWN: usize>(
    lanes: Lanes,
    (panels, panel): (*const u8, usize),
    from: &[*const S::Input; TAPS + 1],
    taps: usize,
    step: usize,
    landing: &Landing<S>,
    results: &mut [i8],
) {
    let steps = if KNOWN > 0 { KNOWN } else { taps.div_ceil(S::TAPS) };
    let size = lanes.channels * lanes.pixels;
    for vector in 0..lanes.vectors {
        // SAFETY: as the caller promises; of the results only what there is is written.
        unsafe {
            let head = panels.add(vector * panel).cast::<Factors<S>>();
            let factors = *head;
            let w = head.add(1).cast::<S::Words>();
            let known: [S::Words; KNOWN] = core::array::from_fn(|at| w.add(at).read());
            let first = vector * LANES;
            let mut rest = results.len();
            let mut at = 0;
            let mut to = results.as_mut_ptr().add(first);
            while rest > 0 {
                let mut acc = factors.bias;
                if KNOWN > 0 {
                    for (i, &weights) in known.iter().enumerate() {
                        acc = plus::<S>(acc, from, i, at + first, weights);
                    }
                } else {
                    for i in 0..steps {
                        acc = plus::<S>(acc, from, i, at + first, w.add(i).read());
                    }
                }
                let count = size.min(rest);
                S::store(to, count - first, landing.finish(&factors, acc));
                rest -= count;
                at += step;
                to = to.wrapping_add(size);
            }
        }
    }
}
