#![allow(unsafe_code)]
//! Convolutions and matrix products.
//!
//! The weights of sixteen outputs are packed to panels once a call: the weights of a group of inputs of each of sixteen rows side by
//! side. The rows of input under a row of outputs stand in a ring of rows, padding filled in, each copied once; there each group of
//! the windows of neighbouring outputs meets its weights. Where a row is too long for the ring, it is copied tile by tile.

use super::memory::{Panels, RING, Ring, gather};
use super::results::{Factors, Landing, rounding};
use super::set::{LANES, LINES, Rows, SPILL, Set};
use crate::fixed::Rounding;
use crate::kernels::conv::{Conv2d, Window};
use crate::kernels::linear::FullyConnected;
use crate::kernels::{PerChannel, Unary};

/// Rows from which on packing the weights pays.
const PACKED_ROWS: usize = 4;

/// See [`crate::kernels::conv::reference::conv2d`]. `None`, and nothing is written, where the plain kernel must do it.
pub fn conv2d(p: &Conv2d<i8>, operands: &mut Unary<'_, i8>, w: &[i8]) -> Option<()> {
    if p.groups != 1 || p.window.dilation[1] != 1 {
        return None;
    }
    let (mut window, mut batch) = (p.window, p.batch);
    let Window { input, output, kernel, stride, pad, .. } = p.window;
    if (kernel, stride, pad) == ([1; 2], [1; 2], [0; 2]) && input == output {
        // All pixels of all images are one row, with one end for the tiles.
        let pixels = input[0].checked_mul(input[1])?.checked_mul(batch)?;
        (window.input, window.output, batch) = ([1, pixels], [1, pixels], 1);
    }
    let work = &Work::new(&p.requant, window, [p.in_channels, p.out_channels], p.pad_value, w)?;
    at_widest!(convolution(work: &Work, batch: usize, operands: &mut Unary<'_, i8>))
}

/// See [`crate::kernels::linear::reference::fully_connected`]; as [`conv2d`].
pub fn fully_connected(p: &FullyConnected<i8>, operands: &mut Unary<'_, i8>, w: &[i8]) -> Option<()> {
    if let (true, Unary::Apart(x, out)) = (p.rows < PACKED_ROWS, &mut *operands) {
        let rounding = rounding(&p.requant)?;
        let complete = p.requant.bias.len() == p.outputs && p.requant.mult.len() == p.outputs;
        let fits = x.len() >= p.rows.checked_mul(p.inputs)? && out.len() >= p.rows.checked_mul(p.outputs)?;
        if !complete || !fits || w.len() < p.inputs.checked_mul(p.outputs)? || p.inputs == 0 || p.outputs == 0 {
            return None;
        }
        return at_widest!(vectors(p: &FullyConnected<i8>, rounding: Rounding, x: &[i8], w: &[i8], out: &mut [i8]));
    }
    let window = Window {
        input: [1, p.rows],
        output: [1, p.rows],
        kernel: [1; 2],
        stride: [1; 2],
        dilation: [1; 2],
        pad: [0; 2],
    };
    let work = &Work::new(&p.requant, window, [p.inputs, p.outputs], 0, w)?;
    let batch = 1;
    at_widest!(convolution(work: &Work, batch: usize, operands: &mut Unary<'_, i8>))
}

/// A convolution whose slices have been found to be long enough.
struct Work<'a> {
    requant: &'a PerChannel<'a, i8>,
    rounding: Rounding,
    window: Window,
    in_channels: usize,
    out_channels: usize,
    pad_value: i8,
    w: &'a [i8],
    /// Inputs of a window's row.
    run: usize,
    /// Rows under a row of outputs, those between taps too.
    reach: usize,
}

impl<'a> Work<'a> {
    fn new(
        requant: &'a PerChannel<'a, i8>,
        window: Window,
        [in_channels, out_channels]: [usize; 2],
        pad_value: i8,
        w: &'a [i8],
    ) -> Option<Self> {
        let [kh, kw] = window.kernel;
        let run = kw.checked_mul(in_channels)?;
        let complete = requant.bias.len() == out_channels
            && requant.mult.len() == out_channels
            && requant.shift.len() == out_channels
            && w.len() >= run.checked_mul(kh)?.checked_mul(out_channels)?
            && run > 0
            && kh > 0
            && out_channels > 0;
        let reach = kh.checked_sub(1)?.checked_mul(window.dilation[0])?.checked_add(1)?;
        let rounding = rounding(requant)?;
        let known = complete && kh <= LINES && window.output[1] > 0;
        known.then_some(Self { requant, rounding, window, in_channels, out_channels, pad_value, w, run, reach })
    }
}

/// See [`Layout::run`].
#[inline(always)]
fn convolution<S: Set>(work: &Work, batch: usize, operands: &mut Unary<'_, i8>) -> Option<()> {
    Layout::<S>::new(work)?.run(batch, operands)
}

/// How a convolution's rows and weights lie.
struct Layout<'a, S: Set> {
    work: &'a Work<'a>,
    landing: Landing<S>,
    /// Outputs of a row that are worked on at once: all, or a tile.
    segment: usize,
    /// Inputs from one row of the ring to the next.
    pitch: usize,
    /// Groups of weights of a window's row.
    groups: usize,
    /// Bytes of a panel: [`Factors`], then the weights.
    panel: usize,
}

impl<'a, S: Set> Layout<'a, S> {
    /// Bytes of a group's weights.
    const GROUP: usize = LANES * S::GROUP;

    #[inline(always)]
    fn new(work: &'a Work<'a>) -> Option<Self> {
        let Window { output: [_, out_w], kernel: [kh, kw], stride, .. } = work.window;
        let [tile, _] = S::TILES;
        // Tiles at the end of a row read inputs of pixels that there are not.
        let pitch = |outputs: usize| {
            let pixels = outputs.checked_next_multiple_of(tile)?.checked_sub(1)?.checked_mul(stride[1])?;
            pixels.checked_add(kw)?.checked_mul(work.in_channels)?.checked_add(S::GROUP + SPILL)
        };
        let whole = pitch(out_w)?;
        let fits = whole.checked_mul(work.reach)?.checked_mul(size_of::<S::Input>())? <= RING;
        let (segment, pitch) = if fits { (out_w, whole) } else { (tile, pitch(tile)?) };
        let groups = work.run.div_ceil(S::GROUP);
        let panel = kh.checked_mul(groups)?.checked_mul(Self::GROUP)?.checked_add(Factors::<S>::SIZE)?;
        Some(Self { work, landing: Landing::new(work.requant, work.rounding), segment, pitch, groups, panel })
    }

    #[inline(always)]
    fn run(&self, batch: usize, operands: &mut Unary<'_, i8>) -> Option<()> {
        let (mut panels, mut ring) = (Panels::new(), Ring::new());
        let Work { window, in_channels, out_channels, reach, .. } = *self.work;
        let ([in_h, in_w], [out_h, out_w]) = (window.input, window.output);
        let image_len = in_h.checked_mul(in_w)?.checked_mul(in_channels)?;
        let result_len = out_h.checked_mul(out_w)?.checked_mul(out_channels)?;
        let ring = ring.room::<S::Input>(reach.checked_mul(self.pitch)?)?;
        let blocks = out_channels.div_ceil(LANES);
        let panels = panels.room(blocks.checked_mul(self.panel)?)?;
        if operands.x().len() < image_len.checked_mul(batch)? || operands.y().len() < result_len.checked_mul(batch)? {
            return None;
        }
        for block in 0..blocks {
            // SAFETY: there is room for all panels, and `Work::new` has looked at the weights.
            unsafe { self.pack(block, panels.add(block * self.panel)) };
        }
        let kept = self.segment == out_w;
        let [tile, _] = S::TILES;
        let step = tile * window.stride[1] * in_channels;
        for n in 0..batch {
            let mut next = 0;
            for oy in 0..out_h {
                let top = oy * window.stride[0];
                for ox in (0..out_w).step_by(self.segment) {
                    let image = operands.x().get(n * image_len..)?.get(..image_len)?;
                    next = if kept { next.max(top) } else { top };
                    while next < top + reach {
                        // SAFETY: the row lies in the ring.
                        unsafe { self.gather(image, next, ox, ring.add(next % reach * self.pitch)) };
                        next += 1;
                    }
                    let mut lines = [ring.cast_const(); LINES];
                    for (i, line) in lines.iter_mut().enumerate().take(window.kernel[0]) {
                        let row = (top + i * window.dilation[0]) % reach;
                        // SAFETY: the row lies in the ring.
                        *line = unsafe { ring.add(row * self.pitch) };
                    }
                    let start = n * result_len + (oy * out_w + ox) * out_channels;
                    let count = self.segment.min(out_w - ox);
                    let results = operands.y().get_mut(start..)?.get_mut(..count * out_channels)?;
                    for (t, results) in results.chunks_mut(tile * out_channels).enumerate() {
                        // SAFETY: the panels have been packed, the rows gathered.
                        unsafe { self.outputs(panels, &lines, t * step, results) };
                    }
                }
            }
        }
        Some(())
    }

    /// All outputs of a tile, whose windows begin `at` inputs behind `lines`.
    ///
    /// # Safety
    /// The panels are packed, one behind the other; the lines hold at least one pixel, and inputs that may be read for a tile.
    #[inline(always)]
    unsafe fn outputs(&self, panels: *const u8, lines: &[*const S::Input; LINES], at: usize, results: &mut [i8]) {
        let blocks = self.work.out_channels.div_ceil(LANES);
        let [tile, small] = S::TILES;
        let pixels = if results.len() > small * self.work.out_channels { tile } else { small };
        let mut block = 0;
        while block < blocks {
            let pair = S::PAIRS && block + 1 < blocks;
            // SAFETY: as the caller promises.
            unsafe {
                let panel = panels.add(block * self.panel);
                // Of these the compiler keeps the set's own.
                match (pixels, pair) {
                    (8, true) => self.tile::<8, 2>(panel, lines, at, block, results),
                    (8, false) => self.tile::<8, 1>(panel, lines, at, block, results),
                    (6, _) => self.tile::<6, 1>(panel, lines, at, block, results),
                    (4, true) => self.tile::<4, 2>(panel, lines, at, block, results),
                    (4, false) => self.tile::<4, 1>(panel, lines, at, block, results),
                    (pixels, _) => {
                        debug_assert!(pixels == 3);
                        self.tile::<3, 1>(panel, lines, at, block, results);
                    }
                }
            }
            block += 1 + usize::from(pair);
        }
    }

    /// Packs the weights of sixteen outputs: their factors, then for each group of a window's row the weights of each output; zeros
    /// behind a row, and for outputs that there are not.
    ///
    /// # Safety
    /// There is room for a panel.
    #[inline(always)]
    unsafe fn pack(&self, block: usize, panel: *mut u8) {
        let Work { requant, rounding, window, out_channels, w, run, .. } = *self.work;
        let first = block * LANES;
        let depth = window.kernel[0] * run;
        let mut factors = Factors::<S>::from(requant, rounding, first);
        // SAFETY: the factors are the head of the panel.
        let mut to = unsafe { panel.add(Factors::<S>::SIZE) };
        for line in 0..window.kernel[0] {
            for at in (0..run).step_by(16) {
                let count = (run - at).min(16);
                let from = w.as_ptr().wrapping_add(first * depth + line * run + at);
                let rows = Rows { from, stride: depth, rows: out_channels - first, count };
                // SAFETY: the rows are there, and there is room for each group of a row.
                unsafe {
                    factors.bias = match rows.is_full() {
                        true => S::pack::<true>(&rows, factors.bias, to),
                        false => S::pack::<false>(&rows, factors.bias, to),
                    };
                    to = to.add(count.div_ceil(S::GROUP) * Self::GROUP);
                }
            }
        }
        // SAFETY: the head of the panel, which begins at a multiple of 64.
        unsafe { panel.cast::<Factors<S>>().write(factors) };
    }

    /// Copies row `row` of the padded image, as far as the windows of a segment see it.
    ///
    /// # Safety
    /// There is room for a row of the ring.
    #[inline(always)]
    unsafe fn gather(&self, image: &[i8], row: usize, ox: usize, to: *mut S::Input) {
        let Work { window, in_channels, pad_value, .. } = self.work;
        let Window { output, kernel, stride, .. } = window;
        let begin = ox * stride[1];
        let end = begin + (self.segment.min(output[1] - ox) - 1) * stride[1] + kernel[1];
        // SAFETY: the windows lie within the padded image; as the caller promises.
        unsafe { gather::<S>(image, window, *in_channels, *pad_value, row, begin..end, to) };
    }

    /// `B` times sixteen outputs of `T` neighbouring pixels, of which as many are written as `results` holds.
    ///
    /// # Safety
    /// As of [`Layout::outputs`], for `T` pixels.
    #[inline(always)]
    unsafe fn tile<const T: usize, const B: usize>(
        &self,
        panel: *const u8,
        lines: &[*const S::Input; LINES],
        at: usize,
        block: usize,
        results: &mut [i8],
    ) {
        let Work { window, in_channels, out_channels, .. } = *self.work;
        let step = window.stride[1] * in_channels;
        // SAFETY: the heads of the panels.
        let factors: [&Factors<S>; B] =
            core::array::from_fn(|b| unsafe { &*panel.add(b * self.panel).cast::<Factors<S>>() });
        let mut acc = [factors.map(|factors| factors.bias); T];
        // SAFETY: there are weights for each group of each row of the window; a group can be read behind the last pixel.
        unsafe {
            let mut w = panel.add(Factors::<S>::SIZE);
            for line in lines.iter().take(window.kernel[0]) {
                let mut x = line.add(at);
                for _ in 0..self.groups {
                    let weights: [S::Weights; B] = core::array::from_fn(|b| S::weights(w.add(b * self.panel)));
                    for (t, acc) in acc.iter_mut().enumerate() {
                        let inputs = S::inputs(x.add(t * step));
                        for (acc, weights) in acc.iter_mut().zip(weights) {
                            *acc = S::plus(*acc, inputs, weights);
                        }
                    }
                    x = x.add(S::GROUP);
                    w = w.add(Self::GROUP);
                }
            }
        }
        for (acc, pixel) in acc.into_iter().zip(results.chunks_exact_mut(out_channels)) {
            for (b, (acc, factors)) in acc.into_iter().zip(factors).enumerate() {
                let first = (block + b) * LANES;
                let y = self.landing.finish(factors, acc);
                // SAFETY: only outputs of this pixel are written.
                unsafe { S::store(pixel.as_mut_ptr().add(first), out_channels - first, y) };
            }
        }
    }
}

/// Each vector times all rows, sixteen at a time, weights as they lie in the file; the slices have been found to be long enough.
#[inline(always)]
fn vectors<S: Set>(p: &FullyConnected<i8>, rounding: Rounding, x: &[i8], w: &[i8], out: &mut [i8]) -> Option<()> {
    let landing = Landing::<S>::new(&p.requant, rounding);
    for (x, out) in x.chunks_exact(p.inputs).zip(out.chunks_exact_mut(p.outputs)).take(p.rows) {
        for (block, out) in out.chunks_mut(LANES).enumerate() {
            let first = block * LANES;
            let row = |r: usize| w.as_ptr().wrapping_add((first + r).min(p.outputs - 1) * p.inputs);
            let factors = Factors::<S>::from(&p.requant, rounding, first);
            // SAFETY: the rows are there, and only outputs that there are are written.
            unsafe {
                let sums = S::dots(x, core::array::from_fn(row));
                S::store(out.as_mut_ptr(), out.len(), landing.finish(&factors, S::add(sums, factors.bias)));
            }
        }
    }
    Some(())
}
