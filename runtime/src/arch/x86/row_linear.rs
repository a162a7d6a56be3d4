#![allow(unsafe_code)]
//! Matrix products over rows with AVX2: eight rows of weights share each sixteen integers of a row.

use core::arch::x86_64::*;

use super::avx2;
use super::vector::{array, load8, load16, multiply_high, saturating_add, store8, sums};
use crate::fixed::{CommonShift, RowScale};
use crate::kernels::row_linear::drive::{self, Dots};
use crate::kernels::row_linear::{MlpUp, Weights, portable, scaled, wide};
use crate::kernels::rows::{HEADER, side_by_side, split};

/// See [`crate::kernels::row_linear::reference::row_linear`].
pub fn row_linear(w: &Weights, x: &[i16], out: &mut [i32], add: bool, scratch: &mut [i16]) -> Option<()> {
    if !avx2() {
        return portable::row_linear(w, x, out, add, scratch);
    }
    // SAFETY: the processor has AVX2.
    unsafe { linear(w, x, out, add) }
}

/// See [`crate::kernels::row_linear::reference::mlp_up`]; the scratch holds the results of a row.
pub fn mlp_up(p: &MlpUp, w: &Weights, x: &[i16], out: &mut [i16], scratch: (&mut [i32], &mut [i16])) -> Option<()> {
    if !avx2() {
        return portable::mlp_up(p, w, x, out, scratch);
    }
    // SAFETY: the processor has AVX2.
    unsafe { up(p, w, x, out, scratch) }
}

#[target_feature(enable = "avx2")]
fn up(p: &MlpUp, w: &Weights, x: &[i16], out: &mut [i16], scratch: (&mut [i32], &mut [i16])) -> Option<()> {
    drive::mlp_up::<Avx2>(p, w, x, out, scratch)
}

struct Avx2;

impl Dots for Avx2 {
    #[inline(always)]
    fn each(w: &Weights, x: &[i16], _scratch: &mut [i16], mut emit: impl FnMut(i32)) -> Option<()> {
        // SAFETY: only `up` names this type, which has AVX2.
        unsafe {
            Matrix::new(w)?.each_eight(x, |_, count, sums| array(sums).into_iter().take(count).for_each(&mut emit))
        }
    }
}

#[target_feature(enable = "avx2")]
fn linear(w: &Weights, x: &[i16], out: &mut [i32], add: bool) -> Option<()> {
    let matrix = Matrix::new(w)?;
    if w.mult.len() != w.outputs || !(w.bias.is_empty() || w.bias.len() == w.outputs) {
        return None;
    }
    let rows = side_by_side((x, w.inputs.checked_add(HEADER)?), (out, w.outputs));
    for (x, out) in rows {
        let (scale, x) = split(x)?;
        let row = scaled(scale, w);
        matrix.each_eight(x, |first, count, sums| match (count, row.1.high_word()) {
            // SAFETY: eight outputs from `first` on; `mult` and `bias`, if there is one, are as long as the outputs.
            (8, Some(shifts)) => unsafe { finish(w, row.0, shifts, first, sums, out, add) },
            _ => finish_slowly(w, row, first, (&array(sums), count), out, add),
        })?;
    }
    Some(())
}

/// Eight results: [`wide`] with the high words of the products, and the old output where it is to be added.
///
/// # Safety
/// `first + 8` is at most the length of `w.mult`, of `w.bias` if it is not empty, and of `out`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn finish(
    w: &Weights,
    row: RowScale,
    (up, high): (u32, u32),
    first: usize,
    sums: __m256i,
    out: &mut [i32],
    add: bool,
) {
    // SAFETY: of `load8` and `store8`, the caller's promise.
    unsafe {
        let mult = _mm256_mullo_epi32(load8(w.mult, first), _mm256_set1_epi32(row.mant));
        let x = _mm256_sll_epi32(sums, _mm_cvtsi32_si128(up as i32));
        let half = _mm256_set1_epi32(1 << high.saturating_sub(1));
        let rounded = _mm256_add_epi32(multiply_high(x, mult), half);
        let mut y = _mm256_sra_epi32(rounded, _mm_cvtsi32_si128(high as i32));
        if !w.bias.is_empty() {
            y = saturating_add(y, load8(w.bias, first));
        }
        if add {
            y = saturating_add(load8(out, first), y);
        }
        store8(out, first, y);
    }
}

/// Results that no vector holds, or whose shift is rare.
#[inline(never)]
fn finish_slowly(
    w: &Weights,
    row: (RowScale, CommonShift),
    first: usize,
    (sums, count): (&[i32; 8], usize),
    out: &mut [i32],
    add: bool,
) {
    let results = out.iter_mut().zip(w.factors()).skip(first);
    for ((out, factor), &acc) in results.zip(sums).take(count) {
        let y = wide(acc, row, factor);
        *out = if add { out.saturating_add(y) } else { y };
    }
}

/// Weights whose slices have been found to be as long as they must.
struct Matrix<'a> {
    w: &'a Weights<'a>,
    /// Inputs with one scale.
    span: usize,
    groups: usize,
}

impl<'a> Matrix<'a> {
    fn new(w: &'a Weights<'a>) -> Option<Self> {
        let known = matches!(w.bits, 8 | 4 | 2) && w.inputs.is_multiple_of(32_usize.checked_div(w.bits as usize)?);
        let groups = w.groups();
        let span = if w.group == 0 { w.inputs } else { w.group };
        let scales = if w.group == 0 { 0 } else { w.outputs.checked_mul(groups)? };
        let whole = span.checked_mul(groups)? == w.inputs && (w.group == 0 || span.is_multiple_of(16));
        let fits = w.data.len() >= w.row_bytes().checked_mul(w.outputs)? && w.scales.len() >= scales;
        (known && whole && fits && w.inputs > 0).then_some(Self { w, span, groups })
    }

    /// Tells `emit` the accumulators of eight outputs at a time: the first, how many there are, and the sums.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn each_eight(&self, x: &[i16], mut emit: impl FnMut(usize, usize, __m256i)) -> Option<()> {
        if x.len() != self.w.inputs {
            return None;
        }
        let mut tail = [0_i16; 16];
        let past = self.span % 16;
        // The last sixteen of a row, zeros for those that whole sixteens have covered. Only a whole row has a tail.
        if past != 0 && self.span >= 16 {
            tail.get_mut(16 - past..)?.copy_from_slice(x.get(self.span - past..)?);
        }
        for first in (0..self.w.outputs).step_by(8) {
            let count = (self.w.outputs - first).min(8);
            // SAFETY: `new` has seen that data and scales are long enough; x is as long as a row.
            let sums = unsafe {
                match self.w.bits {
                    8 => self.eight::<8>(x, &tail, first),
                    4 => self.eight::<4>(x, &tail, first),
                    _ => self.eight::<2>(x, &tail, first),
                }
            };
            emit(first, count, sums);
        }
        Some(())
    }

    /// The accumulators of outputs `first …`; beyond the last the last is repeated.
    ///
    /// # Safety
    /// The slices are as [`Matrix::new`] wants them, `x` is as long as a row, `first` is an output, `tail` holds the last
    /// sixteen inputs.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn eight<const BITS: usize>(&self, x: &[i16], tail: &[i16; 16], first: usize) -> __m256i {
        let (w, last) = (self.w, self.w.outputs - 1);
        let bytes = w.row_bytes();
        // SAFETY: every row begins within the data.
        let rows: [*const u8; 8] =
            core::array::from_fn(|r| unsafe { w.data.as_ptr().add((first + r).min(last) * bytes) });
        let mut total = _mm256_setzero_si256();
        for g in 0..self.groups {
            let start = g * self.span;
            let mut acc = [_mm256_setzero_si256(); 8];
            let whole = self.span & !15;
            let mut at = start;
            while at < start + whole {
                // SAFETY: sixteen inputs from `at` on are within the row of inputs, and of weights.
                unsafe {
                    let x = load16(x, at);
                    for (acc, row) in acc.iter_mut().zip(rows) {
                        *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(weights::<BITS>(row.add(at * BITS / 8)), x));
                    }
                }
                at += 16;
            }
            if whole < self.span && self.span >= 16 {
                // SAFETY: the last sixteen of the row; the span, and with it this place, is a whole number of bytes.
                unsafe {
                    let x = load16(tail, 0);
                    for (acc, row) in acc.iter_mut().zip(rows) {
                        let row = row.add((self.span - 16) * BITS / 8);
                        *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(weights::<BITS>(row), x));
                    }
                }
            }
            let mut dots = sums(acc);
            if self.span < 16 {
                // A row shorter than a vector.
                let mut short = [0; 8];
                for (r, sum) in short.iter_mut().enumerate() {
                    let o = (first + r).min(last);
                    *sum = x.iter().enumerate().fold(0_i32, |sum, (i, &x)| {
                        sum.wrapping_add(value::<BITS>(w.data, o * w.inputs + i).wrapping_mul(x.into()))
                    });
                }
                // SAFETY: eight numbers.
                dots = unsafe { load8(&short, 0) };
            }
            if w.group != 0 {
                let mut scales = [0; 8];
                for (r, scale) in scales.iter_mut().enumerate() {
                    let at = (first + r).min(last) * self.groups + g;
                    *scale = w.scales.get(at).copied().unwrap_or(0).into();
                }
                // SAFETY: eight numbers.
                dots = _mm256_mullo_epi32(dots, unsafe { load8(&scales, 0) });
            }
            total = _mm256_add_epi32(total, dots);
        }
        total
    }
}

/// The integer value of weight `at`.
fn value<const BITS: usize>(data: &[u8], at: usize) -> i32 {
    let byte = data.get(at * BITS / 8).copied().unwrap_or(0);
    let code = i32::from(byte >> ((at * BITS) % 8));
    match BITS {
        8 => i32::from(byte as i8),
        4 => (code & 15) - 8,
        _ => 2 * (code & 3) - 3,
    }
}

/// The integer values of sixteen weights from `at` on, which begin a byte.
///
/// # Safety
/// `2·BITS` bytes can be read at `at`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn weights<const BITS: usize>(at: *const u8) -> __m256i {
    // SAFETY: 16, 8 or 4 bytes are read.
    unsafe {
        match BITS {
            8 => _mm256_cvtepi8_epi16(_mm_loadu_si128(at.cast())),
            4 => {
                let codes = _mm_loadl_epi64(at.cast());
                let mask = _mm_set1_epi8(15);
                let low = _mm_and_si128(codes, mask);
                let high = _mm_and_si128(_mm_srli_epi16::<4>(codes), mask);
                let values = _mm_sub_epi8(_mm_unpacklo_epi8(low, high), _mm_set1_epi8(8));
                _mm256_cvtepi8_epi16(values)
            }
            _ => {
                let codes = _mm_set1_epi32(at.cast::<i32>().read_unaligned());
                let each = _mm_setr_epi8(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
                let fields = _mm_set1_epi32(0xC030_0C03_u32 as i32);
                let fields = _mm256_cvtepu8_epi16(_mm_and_si128(_mm_shuffle_epi8(codes, each), fields));
                // 3, 12, 48, 192 become 3 · 2^7, which doubled codes are after seven bits.
                let up = _mm256_set1_epi64x(0x0002_0008_0020_0080);
                let doubled =
                    _mm256_and_si256(_mm256_srli_epi16::<6>(_mm256_mullo_epi16(fields, up)), _mm256_set1_epi16(6));
                _mm256_sub_epi16(doubled, _mm256_set1_epi16(3))
            }
        }
    }
}
