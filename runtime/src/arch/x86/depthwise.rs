#![allow(unsafe_code)]
//! Depthwise convolutions: sixteen channels at a time, or, of few channels, neighbouring pixels.
//!
//! A row of the padded image is spread once: for each place in it the inputs of a group of neighbouring taps stand side by side for
//! each of sixteen channels, so that one product of vectors serves them all. The rows under a row of outputs stand in a ring, so that
//! outputs may take the place of inputs.

use core::arch::x86_64::__m128i;

use super::memory::{Panels, Ring, gather};
use super::results::{Factors, Landing, rounding};
use super::set::{LANES, SPILL, Set};
use crate::fixed::Rounding;
use crate::kernels::Unary;
use crate::kernels::conv::{DepthwiseConv2d, Window};

/// Most taps of a window.
const TAPS: usize = 25;
/// Bytes of weights and rows that are worked on together, if one vector of channels does not need more: they stay in the cache.
const TOGETHER: usize = 32 * 1_024;

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

/// Weights of a tap as [`Lanes`] has the channels of `vector`; zeros for a tap that there is not.
#[inline(always)]
fn weights<S: Set>(lanes: Lanes, vector: usize, w: &[i8], tap: Option<usize>) -> __m128i {
    let (c, first) = (lanes.channels, vector * LANES);
    let Some(w) = tap.and_then(|tap| w.get(tap * c..)?.get(..c)) else {
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

/// How the places of a row lie, of one vector of channels.
#[derive(Clone, Copy)]
struct Places {
    /// How many there are.
    count: usize,
    /// Pixels from one to the next.
    pixels: usize,
    /// Places from the window of a vector of outputs to the next.
    step: usize,
    /// Places from a group of taps to the next of the same row of the window.
    group: usize,
    /// Groups of a row of the window.
    groups: usize,
}

impl Places {
    fn new<S: Set>(window: &Window, lanes: Lanes) -> Option<Self> {
        let groups = window.kernel[1].div_ceil(S::GROUP);
        let (stride, dilation) = (window.stride[1].checked_mul(lanes.pixels)?, window.dilation[1]);
        let outputs = window.output[1].div_ceil(lanes.pixels);
        // With one group places between windows are of no use.
        let (pixels, step, group) =
            if groups == 1 { (stride, 1, 0) } else { (1, stride, S::GROUP.checked_mul(dilation)?) };
        let last = outputs.checked_sub(1)?.checked_mul(step)?.checked_add(group.checked_mul(groups - 1)?)?;
        Some(Self { count: last.checked_add(1)?, pixels, step, group, groups })
    }

    /// Pixels that are read of a line to spread it.
    fn line<S: Set>(&self, dilation: usize) -> Option<usize> {
        self.count.checked_mul(self.pixels)?.checked_add(S::GROUP.checked_mul(dilation)?)
    }

    /// Spreads the sixteen channels at `line` of pixels that are `c` inputs apart.
    ///
    /// # Safety
    /// [`Places::line`] pixels can be read, sixteen inputs of the last, and [`Places::count`] places be written.
    #[inline(always)]
    unsafe fn spread<S: Set>(&self, line: *const S::Input, c: usize, dilation: usize, to: *mut S::Words) {
        // SAFETY: as the caller promises.
        unsafe {
            if dilation > 1 {
                for at in 0..self.count {
                    let first = line.add(at * self.pixels * c);
                    let all = (0..S::GROUP).fold(S::splat(0), |all, k| S::push(all, first.add(k * dilation * c)));
                    to.add(at).write(all);
                }
                return;
            }
            let mut x = line;
            let mut window = S::splat(0);
            for _ in 1..S::GROUP {
                window = S::push(window, x);
                x = x.add(c);
            }
            for at in 0..self.count {
                window = S::push(window, x);
                x = x.add(c);
                to.add(at).write(window);
                for _ in 1..self.pixels {
                    window = S::push(window, x);
                    x = x.add(c);
                }
            }
        }
    }
}

/// The slices are as long as [`depthwise_conv2d`] wants them.
#[inline(always)]
fn run<S: Set>(p: &DepthwiseConv2d<i8>, rounding: Rounding, operands: &mut Unary<'_, i8>, w: &[i8]) -> Option<()> {
    let (mut memory, mut line) = (Panels::new(), Ring::new());
    let (c, window) = (p.in_channels, p.window);
    let ([in_h, in_w], [out_h, out_w], [kh, kw]) = (window.input, window.output, window.kernel);
    let lanes = Lanes::new(c, window.stride[1]);
    let places = Places::new::<S>(&window, lanes)?;
    let dilation = window.dilation[1];
    // Padded columns that windows see.
    let columns = (out_w.checked_sub(1)?).checked_mul(window.stride[1])?.checked_add((kw - 1) * dilation + 1)?;
    let reach = (kh - 1).checked_mul(window.dilation[0])?.checked_add(1)?;
    // What is copied to a line does not reach its end.
    let line_len = places.line::<S>(dilation)?.max(columns).checked_mul(c)?.checked_add(SPILL)?;
    let line = line.room::<S::Input>(line_len)?;
    let w = w.get(..kh * kw * c)?;
    let groups = kh * places.groups;
    let panel = Factors::<S>::SIZE + groups * size_of::<S::Words>();
    let rows = reach.checked_mul(places.count)?;
    let size = rows.checked_mul(size_of::<S::Words>())?.checked_add(panel)?;
    let together = (TOGETHER / size).clamp(1, lanes.vectors);
    let memory = memory.room(together.checked_mul(size)?)?;
    let landing = Landing::<S>::new(&p.requant, rounding);
    for first in (0..lanes.vectors).step_by(together) {
        let vectors = first..(first + together).min(lanes.vectors);
        for vector in vectors.clone() {
            // SAFETY: there is room for all panels; their lengths are multiples of 64.
            unsafe { pack::<S>(p, rounding, (lanes, vector), w, places, memory.add((vector - first) * panel)) };
        }
        // SAFETY: the rows lie behind the panels.
        let ring = unsafe { memory.add(together * panel).cast::<S::Words>() };
        for n in 0..p.batch {
            // Rows of the padded image that stand in the ring.
            let mut next = 0;
            for oy in 0..out_h {
                let top = oy * window.stride[0];
                next = next.max(top);
                let image = operands.x().get(n * in_h * in_w * c..)?;
                while next < top + reach {
                    // SAFETY: the columns, which windows see, lie in the padded image, and in the line; the places in the ring.
                    unsafe {
                        gather::<S>(image, &window, c, p.pad_value, next, 0..columns, line);
                        for vector in vectors.clone() {
                            let row = (vector - first) * rows + next % reach * places.count;
                            places.spread::<S>(line.add(vector * LANES), c, dilation, ring.add(row));
                        }
                    }
                    next += 1;
                }
                let start = (n * out_h + oy) * out_w * c;
                let results = operands.y().get_mut(start..)?.get_mut(..out_w * c)?;
                for vector in vectors.clone() {
                    let mut from = [ring.cast_const(); TAPS];
                    for (group, from) in from.iter_mut().enumerate().take(groups) {
                        let (i, g) = (group / places.groups, group % places.groups);
                        let row = (vector - first) * rows + (top + i * window.dilation[0]) % reach * places.count;
                        // SAFETY: groups lie in the ring.
                        *from = unsafe { ring.add(row + g * places.group) };
                    }
                    // SAFETY: the panel is written, and so are the places of all windows.
                    unsafe {
                        let panel = memory.add((vector - first) * panel).cast();
                        let lanes = (lanes, vector);
                        match groups {
                            3 => row::<S, 3>(lanes, panel, &from, groups, places.step, &landing, results),
                            6 => row::<S, 6>(lanes, panel, &from, groups, places.step, &landing, results),
                            _ => row::<S, 0>(lanes, panel, &from, groups, places.step, &landing, results),
                        }
                    }
                }
            }
        }
    }
    Some(())
}

/// Writes the panel of a vector of channels: [`Factors`], then the weights of each group of taps.
///
/// # Safety
/// There is room for it at `to`, a multiple of 64.
#[inline(always)]
unsafe fn pack<S: Set>(
    p: &DepthwiseConv2d<i8>,
    rounding: Rounding,
    (lanes, vector): (Lanes, usize),
    w: &[i8],
    places: Places,
    to: *mut u8,
) {
    let kw = p.window.kernel[1];
    let mut factors = match lanes.pixels {
        1 => Factors::<S>::from(&p.requant, rounding, vector * LANES),
        _ => Factors::<S>::of(&p.requant, rounding, |lane| lanes.channel(vector, lane)),
    };
    let head = to.cast::<Factors<S>>();
    for group in 0..p.window.kernel[0] * places.groups {
        let (line, first) = (group / places.groups, group % places.groups * S::GROUP);
        let tap = |k: usize| (first + k < kw).then_some(line * kw + first + k);
        let all = S::side_by_side(core::array::from_fn(|k| weights::<S>(lanes, vector, w, tap(k))));
        factors.bias = S::lower(factors.bias, all);
        // SAFETY: as the caller promises.
        unsafe { head.add(1).cast::<S::Words>().add(group).write(all) };
    }
    // SAFETY: as the caller promises.
    unsafe { head.write(factors) };
}

/// A row of outputs of a vector of channels; of `KNOWN` groups of taps, or, if that is 0, of as many as there are.
///
/// # Safety
/// The panel is written, and from each group on, the places of all windows, `step` from one to the next.
#[inline(always)]
unsafe fn row<S: Set, const KNOWN: usize>(
    (lanes, vector): (Lanes, usize),
    panel: *const Factors<S>,
    from: &[*const S::Words; TAPS],
    groups: usize,
    step: usize,
    landing: &Landing<S>,
    results: &mut [i8],
) {
    let size = lanes.channels * lanes.pixels;
    // SAFETY: as the caller promises; of the results only what there is is written.
    unsafe {
        let factors = *panel;
        let w = panel.add(1).cast::<S::Words>();
        let known: [S::Words; KNOWN] = core::array::from_fn(|group| w.add(group).read());
        let first = vector * LANES;
        let mut rest = results.len();
        let mut at = 0;
        let mut to = results.as_mut_ptr().add(first);
        while rest > 0 {
            let mut acc = factors.bias;
            if KNOWN > 0 {
                for (&from, &weights) in from.iter().zip(&known) {
                    acc = S::plus_each(acc, from.add(at).read(), weights);
                }
            } else {
                for (group, &from) in from.iter().enumerate().take(groups) {
                    acc = S::plus_each(acc, from.add(at).read(), w.add(group).read());
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
