#![allow(unsafe_code)]
//! Sums of two int8 operands of one shape with AVX-512, sixteen elements at a time.

use core::arch::x86_64::*;

use super::vnni::{LANES, doubled_high, low_mask, store, vnni};
use crate::fixed::{MIN_TFLITE_SHIFT, Multiplier, Rounding, TFLITE_FLAG};
use crate::kernels::elementwise::{Add, AddTfLite, Broadcast};
use crate::kernels::{Binary, Output};

/// Operands and output, as far as all of them are as long.
struct Operands {
    a: *const i8,
    b: *const i8,
    y: *mut i8,
    len: usize,
}

impl Operands {
    /// `None` where an operand is repeated.
    fn new(shape: &Broadcast, operands: &mut Binary<'_, i8>) -> Option<Self> {
        if shape.a != shape.out || shape.b != shape.out {
            return None;
        }
        let (a, b, y) = match operands {
            Binary::Apart(a, b, y) => (Some(&**a), Some(&**b), &mut **y),
            Binary::InPlaceFirst(y, b) => (None, Some(&**b), &mut **y),
            Binary::InPlaceSecond(a, y) => (Some(&**a), None, &mut **y),
            Binary::InPlaceBoth(y) => (None, None, &mut **y),
        };
        let len = y.len();
        let fits = |x: Option<&[i8]>| x.is_none_or(|x| x.len() == len);
        let known = fits(a) && fits(b) && crate::kernels::nest::elements(shape.out) == Some(len);
        let y = y.as_mut_ptr();
        let start = |x: Option<&[i8]>| x.map_or(y.cast_const(), <[i8]>::as_ptr);
        known.then(|| Self { a: start(a), b: start(b), y, len })
    }

    /// `f` of sixteen elements of both at a time.
    ///
    /// # Safety
    /// The slices of [`Operands::new`] still live.
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn map(self, f: impl Fn(__m512i, __m512i) -> __m128i) {
        for at in (0..self.len).step_by(LANES) {
            let count = self.len - at;
            let mask = low_mask(count.min(LANES)) as u16;
            // SAFETY: only elements that there are are read, then written.
            unsafe {
                let [a, b] = [self.a, self.b].map(|x| match count {
                    LANES.. => _mm512_cvtepi8_epi32(_mm_loadu_si128(x.add(at).cast())),
                    _ => _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(mask, x.add(at))),
                });
                store(self.y.add(at), count, f(a, b));
            }
        }
    }
}

/// Zero point and ends of an output.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn land(output: &Output<i8>, y: __m512i) -> __m128i {
    let y = _mm512_add_epi32(y, _mm512_set1_epi32(output.zero_point));
    let y = _mm512_min_epi32(y, _mm512_set1_epi32(output.max.into()));
    _mm512_cvtepi32_epi8(_mm512_max_epi32(y, _mm512_set1_epi32(output.min.into())))
}

/// See [`crate::kernels::elementwise::reference::add`]. `None`, and nothing is written, where the plain kernel must do it.
pub fn add(p: &Add<i8>, operands: &mut Binary<'_, i8>) -> Option<()> {
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
    fn wide(p: &Add<i8>, operands: Operands) {
        let [a, b] = [p.a.mult, p.b.mult].map(|m| _mm512_set1_epi32(m));
        let share = |zero_point: i32, mult: i32| zero_point.wrapping_neg().wrapping_mul(mult);
        let half = if p.shift == 0 { 0 } else { 1 << (p.shift - 1) };
        let start = share(p.a.zero_point, p.a.mult).wrapping_add(share(p.b.zero_point, p.b.mult)).wrapping_add(half);
        let (start, shift) = (_mm512_set1_epi32(start), _mm_cvtsi32_si128(p.shift.into()));
        // SAFETY: the caller holds the slices.
        unsafe {
            operands.map(|x, y| {
                let sum = _mm512_add_epi32(_mm512_mullo_epi32(x, a), _mm512_mullo_epi32(y, b));
                land(&p.output, _mm512_sra_epi32(_mm512_add_epi32(sum, start), shift))
            });
        }
    }
    // Within these bounds, which verification proves, no sum leaves the range in which rounding is exact.
    let bounded = p.shift <= 30 && [&p.a, &p.b].iter().all(|t| t.mult.unsigned_abs() <= 1 << 21 && zero(t.zero_point));
    if !vnni() || !bounded || !zero(p.output.zero_point) {
        return None;
    }
    let operands = Operands::new(&p.shape, operands)?;
    // SAFETY: the processor has AVX-512.
    unsafe { wide(p, operands) };
    Some(())
}

/// Whether it is a zero point of int8.
fn zero(zero_point: i32) -> bool {
    (-128..=127).contains(&zero_point)
}

/// See [`crate::kernels::elementwise::reference::add_tflite`]; as [`add`].
pub fn add_tflite(p: &AddTfLite, operands: &mut Binary<'_, i8>) -> Option<()> {
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
    fn wide(p: &AddTfLite, operands: Operands) {
        let [a_zero, b_zero] = p.zero_points.map(|z| _mm512_set1_epi32(z));
        // −x is (x ^ −1) + 1.
        let sign = |negative: bool| _mm512_set1_epi32(if negative { -1 } else { 0 });
        let turned = |x: __m512i, sign: __m512i| _mm512_sub_epi32(_mm512_xor_si512(x, sign), sign);
        let fine_sign = sign(p.difference && !p.fine_first);
        let coarse_sign = sign(p.difference && p.fine_first);
        let up = _mm_cvtsi32_si128(p.fine.1.min(21).into());
        // SAFETY: the caller holds the slices.
        unsafe {
            operands.map(|a, b| {
                let (a, b) = (_mm512_sub_epi32(a, a_zero), _mm512_sub_epi32(b, b_zero));
                let (coarse, x) = if p.fine_first { (b, a) } else { (a, b) };
                let x = turned(requantize(_mm512_sll_epi32(x, up), p.fine.0), fine_sign);
                let coarse = turned(_mm512_slli_epi32::<19>(coarse), coarse_sign);
                land(&p.output, requantize(_mm512_add_epi32(x, coarse), p.sum))
            });
        }
    }
    let known = [p.fine.0, p.sum].iter().all(|m| m.rounding() == Rounding::TfLite && m.is_valid());
    if !vnni() || !known || !p.zero_points.into_iter().chain([p.output.zero_point]).all(zero) {
        return None;
    }
    let operands = Operands::new(&p.shape, operands)?;
    // SAFETY: the processor has AVX-512.
    unsafe { wide(p, operands) };
    Some(())
}

/// [`crate::fixed::requantize_tflite`] of sixteen numbers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn requantize(acc: __m512i, m: Multiplier) -> __m512i {
    let (mult, one) = (_mm512_set1_epi32(m.mult), _mm512_set1_epi32(1));
    let q = doubled_high(acc, mult);
    let q = _mm512_add_epi32(q, _mm512_srai_epi32::<31>(q));
    let shift = _mm_cvtsi32_si128(i32::from(m.shift) - i32::from(TFLITE_FLAG | MIN_TFLITE_SHIFT));
    _mm512_srai_epi32::<1>(_mm512_add_epi32(_mm512_sra_epi32(q, shift), one))
}
