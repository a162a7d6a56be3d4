#![allow(unsafe_code)]
//! Convolutions and matrix products with VNNI.
//!
//! The weights of sixteen outputs are packed to panels once a call: four weights of each of sixteen rows a vector. The rows of
//! input under a row of outputs stand in a ring of rows, padding filled in, each copied once; there each four bytes of the
//! windows of eight neighbouring outputs meet a vector of a panel, or two. Where a row is too long for the ring, it is copied tile
//! by tile.

use core::arch::x86_64::*;

use super::vector;
use super::vnni::{Bytes, Factors, LANES, Landing, Memory, SPILL, copy, fill, low_mask, rounding, store, vnni};
use crate::fixed::Rounding;
use crate::kernels::conv::{Conv2d, Window};
use crate::kernels::linear::FullyConnected;
use crate::kernels::{PerChannel, Unary};

/// Outputs of a tile.
const TILE: usize = 8;
/// Most rows of a window.
const LINES: usize = 16;
/// Bytes of the ring of rows.
const RING: usize = 32 * 1_024;
/// Rows from which on packing the weights pays.
const PACKED_ROWS: usize = 4;
/// Vectors of a panel before the weights: [`Factors`].
const HEAD: usize = size_of::<Factors>() / 64;

/// See [`crate::kernels::conv::reference::conv2d`]. `None`, and nothing is written, where the plain kernel must do it.
pub fn conv2d(p: &Conv2d<i8>, operands: &mut Unary<'_, i8>, w: &[i8]) -> Option<()> {
    if !vnni() || p.groups != 1 || p.window.dilation[1] != 1 {
        return None;
    }
    let work = Work::new(&p.requant, p.window, [p.in_channels, p.out_channels], p.pad_value, w)?;
    // SAFETY: the processor has VNNI.
    unsafe { work.run(p.batch, operands) }
}

/// See [`crate::kernels::linear::reference::fully_connected`]; as [`conv2d`].
pub fn fully_connected(p: &FullyConnected<i8>, operands: &mut Unary<'_, i8>, w: &[i8]) -> Option<()> {
    if !vnni() {
        return None;
    }
    if let (true, Unary::Apart(x, out)) = (p.rows < PACKED_ROWS, &mut *operands) {
        let rounding = rounding(&p.requant)?;
        let complete = p.requant.bias.len() == p.outputs && p.requant.mult.len() == p.outputs;
        let fits = x.len() >= p.rows.checked_mul(p.inputs)? && out.len() >= p.rows.checked_mul(p.outputs)?;
        if !complete || !fits || w.len() < p.inputs.checked_mul(p.outputs)? || p.inputs == 0 || p.outputs == 0 {
            return None;
        }
        for (x, out) in x.chunks_exact(p.inputs).zip(out.chunks_exact_mut(p.outputs)).take(p.rows) {
            // SAFETY: the processor has VNNI; the slices have been found to be long enough.
            unsafe { vector_product(&p.requant, rounding, x, w, out) };
        }
        return Some(());
    }
    let window = Window {
        input: [1, p.rows],
        output: [1, p.rows],
        kernel: [1; 2],
        stride: [1; 2],
        dilation: [1; 2],
        pad: [0; 2],
    };
    let work = Work::new(&p.requant, window, [p.inputs, p.outputs], 0, w)?;
    // SAFETY: the processor has VNNI.
    unsafe { work.run(1, operands) }
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
    /// Bytes of a window's row.
    run: usize,
    /// Outputs of a row that are worked on at once: all, or a tile.
    segment: usize,
    /// Rows under a row of outputs, those between taps too.
    reach: usize,
    /// Bytes from one row of the ring to the next.
    pitch: usize,
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
        // Tiles at the end of a row read inputs of pixels that there are not.
        let pitch = |outputs: usize| {
            let pixels = outputs.checked_next_multiple_of(TILE)?.checked_sub(1)?.checked_mul(window.stride[1])?;
            pixels.checked_add(kw)?.checked_mul(in_channels)?.checked_add(4 + SPILL)
        };
        let whole = pitch(window.output[1])?;
        let fits = whole.checked_mul(reach)? <= RING;
        let (segment, pitch) = if fits { (window.output[1], whole) } else { (TILE, pitch(TILE)?) };
        let rounding = rounding(requant)?;
        let known = complete && kh <= LINES && segment > 0;
        let work =
            Self { requant, rounding, window, in_channels, out_channels, pad_value, w, run, segment, reach, pitch };
        known.then_some(work)
    }

    /// Vectors of a panel.
    fn panel(&self) -> usize {
        HEAD + self.window.kernel[0] * self.run.div_ceil(4)
    }

    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
    fn run(&self, batch: usize, operands: &mut Unary<'_, i8>) -> Option<()> {
        let (mut memory, mut bytes) = (Memory::new(), Bytes::new());
        let [in_h, in_w] = self.window.input;
        let [out_h, out_w] = self.window.output;
        let image_len = in_h.checked_mul(in_w)?.checked_mul(self.in_channels)?;
        let result_len = out_h.checked_mul(out_w)?.checked_mul(self.out_channels)?;
        let ring = bytes.room(self.reach.checked_mul(self.pitch)?)?;
        let blocks = self.out_channels.div_ceil(LANES);
        let panels = memory.room(blocks.checked_mul(self.panel())?)?;
        if operands.x().len() < image_len.checked_mul(batch)? || operands.y().len() < result_len.checked_mul(batch)? {
            return None;
        }
        for block in 0..blocks {
            // SAFETY: there is room for all panels, and `new` has looked at the weights.
            unsafe { self.pack(block, panels.add(block * self.panel())) };
        }
        let landing = Landing::new(self.requant, self.rounding);
        let kept = self.segment == out_w;
        let step = TILE * self.window.stride[1] * self.in_channels;
        for n in 0..batch {
            let mut next = 0;
            for oy in 0..out_h {
                let top = oy * self.window.stride[0];
                for ox in (0..out_w).step_by(self.segment) {
                    let image = operands.x().get(n * image_len..)?.get(..image_len)?;
                    next = if kept { next.max(top) } else { top };
                    while next < top + self.reach {
                        // SAFETY: the row lies in the ring.
                        unsafe { self.gather(image, next, ox, ring.add(next % self.reach * self.pitch)) };
                        next += 1;
                    }
                    let mut lines = [ring.cast_const(); LINES];
                    for (i, line) in lines.iter_mut().enumerate().take(self.window.kernel[0]) {
                        let row = (top + i * self.window.dilation[0]) % self.reach;
                        // SAFETY: the row lies in the ring.
                        *line = unsafe { ring.add(row * self.pitch) };
                    }
                    let start = n * result_len + (oy * out_w + ox) * self.out_channels;
                    let count = self.segment.min(out_w - ox);
                    let results = operands.y().get_mut(start..)?.get_mut(..count * self.out_channels)?;
                    for (t, results) in results.chunks_mut(TILE * self.out_channels).enumerate() {
                        // SAFETY: the panels have been packed, the rows gathered.
                        unsafe { self.outputs(panels, &lines, t * step, &landing, results) };
                    }
                }
            }
        }
        Some(())
    }

    /// All outputs of a tile, whose windows begin `at` bytes behind `lines`.
    ///
    /// # Safety
    /// The panels are packed, one behind the other; the lines hold at least one pixel, and bytes that may be read for a tile.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn outputs(
        &self,
        panels: *const __m512i,
        lines: &[*const u8; LINES],
        at: usize,
        landing: &Landing,
        results: &mut [i8],
    ) {
        let blocks = self.out_channels.div_ceil(LANES);
        let many = results.len() > 4 * self.out_channels;
        for block in (0..blocks).step_by(2) {
            // SAFETY: as the caller promises.
            unsafe {
                let panel = panels.add(block * self.panel());
                match (many, block + 1 < blocks) {
                    (true, true) => self.tile::<TILE, 2>(panel, lines, at, landing, block, results),
                    (true, false) => self.tile::<TILE, 1>(panel, lines, at, landing, block, results),
                    (false, true) => self.tile::<4, 2>(panel, lines, at, landing, block, results),
                    (false, false) => self.tile::<4, 1>(panel, lines, at, landing, block, results),
                }
            }
        }
    }

    /// Packs the weights of sixteen outputs: their factors, then for each four weights of a window's row the four of each
    /// output; zeros behind a row, and for outputs that there are not.
    ///
    /// # Safety
    /// There is room for a panel.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn pack(&self, block: usize, panel: *mut __m512i) {
        let first = block * LANES;
        let depth = self.window.kernel[0] * self.run;
        let mut sums = _mm512_setzero_si512();
        let ones = _mm512_set1_epi8(1);
        // SAFETY: the factors are the head of the panel.
        let mut to = unsafe { panel.add(HEAD) };
        for line in 0..self.window.kernel[0] {
            for at in (0..self.run).step_by(16) {
                let mask = low_mask((self.run - at).min(16)) as u16;
                let start = line * self.run + at;
                let row = |r: usize| {
                    let mask = if first + r < self.out_channels { mask } else { 0 };
                    // SAFETY: with a mask that is not empty the row is there, and only its bytes are read; what is not
                    // read need not be there, and its address is computed without the claim that it is.
                    unsafe {
                        let from = self.w.as_ptr().wrapping_add((first + r) * depth + start);
                        _mm_maskz_loadu_epi8(mask, from)
                    }
                };
                // Lane l of vector j: row 4l + j.
                let rows = |j: usize| {
                    let v = _mm512_castsi128_si512(row(j));
                    let v = _mm512_inserti32x4::<1>(v, row(j + 4));
                    let v = _mm512_inserti32x4::<2>(v, row(j + 8));
                    _mm512_inserti32x4::<3>(v, row(j + 12))
                };
                let (a, b, c, d) = (rows(0), rows(1), rows(2), rows(3));
                let (ab, cd) = (_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c, d));
                let (ab_high, cd_high) = (_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c, d));
                let fours = [
                    _mm512_unpacklo_epi64(ab, cd),
                    _mm512_unpackhi_epi64(ab, cd),
                    _mm512_unpacklo_epi64(ab_high, cd_high),
                    _mm512_unpackhi_epi64(ab_high, cd_high),
                ];
                for v in fours.into_iter().take((self.run - at).div_ceil(4)) {
                    sums = _mm512_dpbusd_epi32(sums, ones, v);
                    // SAFETY: a vector for each four weights of a row.
                    unsafe {
                        to.write(v);
                        to = to.add(1);
                    }
                }
            }
        }
        let mut factors = Factors::from(self.requant, self.rounding, first);
        factors.bias = _mm512_sub_epi32(factors.bias, _mm512_slli_epi32::<7>(sums));
        // SAFETY: the head of the panel.
        unsafe { panel.cast::<Factors>().write(factors) };
    }

    /// Copies row `row` of the padded image, as far as the windows of a segment see it, raised by 128.
    ///
    /// # Safety
    /// There is room for a row of the ring.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn gather(&self, image: &[i8], row: usize, ox: usize, to: *mut u8) {
        let Window { input: [in_h, in_w], output, kernel, stride, pad, .. } = self.window;
        let c = self.in_channels;
        let pixels = (self.segment.min(output[1] - ox) - 1) * stride[1] + kernel[1];
        // Columns of the padded image: those of the image begin at `pad`.
        let begin = ox * stride[1];
        let left = pad[1].saturating_sub(begin).min(pixels);
        let right = (pad[1] + in_w).saturating_sub(begin).clamp(left, pixels);
        let padding = self.pad_value.cast_unsigned() ^ 0x80;
        // SAFETY: each part lies within the row of the ring, and within the image's row.
        unsafe {
            let Some(y) = row.checked_sub(pad[0]).filter(|&y| y < in_h) else {
                fill(to, pixels * c, padding);
                return;
            };
            fill(to, left * c, padding);
            if right > left {
                let from = (y * in_w + begin + left - pad[1]) * c;
                debug_assert!(from + (right - left) * c <= image.len());
                copy(image.as_ptr().add(from), to.add(left * c), (right - left) * c, 0x80);
            }
            fill(to.add(right * c), (pixels - right) * c, padding);
        }
    }

    /// `B` times sixteen outputs of `T` neighbouring pixels, of which as many are written as `results` holds.
    ///
    /// # Safety
    /// As of [`Work::outputs`], for `T` pixels.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn tile<const T: usize, const B: usize>(
        &self,
        panel: *const __m512i,
        lines: &[*const u8; LINES],
        at: usize,
        landing: &Landing,
        block: usize,
        results: &mut [i8],
    ) {
        let step = self.window.stride[1] * self.in_channels;
        let (groups, next) = (self.run.div_ceil(4), self.panel());
        // SAFETY: the heads of the panels.
        let factors: [&Factors; B] = core::array::from_fn(|b| unsafe { &*panel.add(b * next).cast::<Factors>() });
        let mut acc = [[_mm512_setzero_si512(); B]; T];
        for acc in &mut acc {
            for (acc, factors) in acc.iter_mut().zip(factors) {
                *acc = factors.bias;
            }
        }
        // SAFETY: a vector for each four bytes of each row of the window; four bytes can be read behind the last pixel.
        unsafe {
            let mut w = panel.add(HEAD);
            for line in lines.iter().take(self.window.kernel[0]) {
                let mut x = line.add(at);
                for _ in 0..groups {
                    let mut weights = [_mm512_setzero_si512(); B];
                    for (b, weights) in weights.iter_mut().enumerate() {
                        *weights = w.add(b * next).read();
                    }
                    for (t, acc) in acc.iter_mut().enumerate() {
                        let four = _mm512_set1_epi32(x.add(t * step).cast::<i32>().read_unaligned());
                        for (acc, weights) in acc.iter_mut().zip(weights) {
                            *acc = _mm512_dpbusd_epi32(*acc, four, weights);
                        }
                    }
                    x = x.add(4);
                    w = w.add(1);
                }
            }
        }
        for (acc, pixel) in acc.into_iter().zip(results.chunks_exact_mut(self.out_channels)) {
            for (b, (acc, factors)) in acc.into_iter().zip(factors).enumerate() {
                let first = (block + b) * LANES;
                let y = landing.finish(factors, acc);
                // SAFETY: only outputs of this pixel are written.
                unsafe { store(pixel.as_mut_ptr().add(first), self.out_channels - first, y) };
            }
        }
    }
}

/// One vector times all rows, sixteen at a time, weights as they lie in the file.
///
/// # Safety
/// `w` holds `out.len()` rows as long as `x`, and there are factors for them.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn vector_product(requant: &PerChannel<i8>, rounding: Rounding, x: &[i8], w: &[i8], out: &mut [i8]) {
    let landing = Landing::new(requant, rounding);
    let (depth, last) = (x.len(), out.len() - 1);
    let raised = _mm512_set1_epi8(-128);
    for first in (0..out.len()).step_by(LANES) {
        let eight = |first: usize| {
            let mut acc = [_mm512_setzero_si512(); 8];
            let mut raise = [_mm512_setzero_si512(); 8];
            for at in (0..depth).step_by(64) {
                let mask = low_mask(depth - at);
                // SAFETY: only what lies within the vector and the row is read.
                unsafe {
                    let x = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, x.as_ptr().add(at)), raised);
                    for (r, (acc, raise)) in acc.iter_mut().zip(&mut raise).enumerate() {
                        let row = w.as_ptr().add((first + r).min(last) * depth + at);
                        let weights = _mm512_maskz_loadu_epi8(mask, row);
                        *acc = _mm512_dpbusd_epi32(*acc, x, weights);
                        *raise = _mm512_dpbusd_epi32(*raise, raised, weights);
                    }
                }
            }
            let mut folded = [_mm256_setzero_si256(); 8];
            for ((folded, acc), raise) in folded.iter_mut().zip(acc).zip(raise) {
                let acc = _mm512_sub_epi32(acc, raise);
                *folded = _mm256_add_epi32(_mm512_castsi512_si256(acc), _mm512_extracti64x4_epi64::<1>(acc));
            }
            vector::sums(folded)
        };
        let sums = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(eight(first)), eight(first + 8));
        let factors = Factors::from(requant, rounding, first);
        let y = landing.finish(&factors, _mm512_add_epi32(sums, factors.bias));
        // SAFETY: only outputs that there are are written.
        unsafe { store(out.as_mut_ptr().add(first), out.len() - first, y) };
    }
}
