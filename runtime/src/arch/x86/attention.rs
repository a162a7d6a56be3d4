#![allow(unsafe_code)]
//! Attention with AVX2: eight positions at a time.

use core::arch::x86_64::*;

use super::avx2;
use super::vector::{array, load8, load16, saturating_add, store8, sum};
use crate::fixed::exp2::POWERS;
use crate::kernels::attention::drive::{self, Dots, shift_down};
use crate::kernels::attention::portable::{self, Portable};
use crate::kernels::attention::{Attention, Cache, Operands, Scratch};

/// See [`crate::kernels::attention::reference::attention`].
pub fn attention(
    p: &Attention,
    position: i32,
    operands: &Operands,
    cache: &mut Cache,
    out: &mut [i16],
    scratch: &mut Scratch,
) -> Option<()> {
    if !avx2() {
        return portable::attention(p, position, operands, cache, out, scratch);
    }
    // SAFETY: the processor has AVX2.
    unsafe { wide(p, position, operands, cache, out, scratch) }
}

#[target_feature(enable = "avx2")]
fn wide(
    p: &Attention,
    position: i32,
    operands: &Operands,
    cache: &mut Cache,
    out: &mut [i16],
    scratch: &mut Scratch,
) -> Option<()> {
    drive::attention::<Avx2>(p, position, operands, cache, out, scratch)
}

/// Only [`wide`] names this type: whatever calls its functions has AVX2.
struct Avx2;

impl Dots for Avx2 {
    #[inline(always)]
    fn ordered(_values: &mut [i16]) {}

    #[inline(always)]
    fn dot8(a: &[i16], b: &[i8]) -> i32 {
        // SAFETY: there is AVX2.
        unsafe { dot8(a, b) }
    }

    #[inline(always)]
    fn dot16(a: &[i16], b: &[i16]) -> i32 {
        Portable::dot16(a, b)
    }

    #[inline(always)]
    fn rows(a: &[i16], b: &[i8], stride: usize, out: &mut [i32]) -> Option<()> {
        if b.len() < stride.checked_mul(out.len())? || stride < a.len() {
            return None;
        }
        // SAFETY: there is AVX2, and `b` holds as many rows as `out`.
        unsafe { rows(a, b, stride, out) };
        Some(())
    }

    #[inline(always)]
    fn scores(query: &[i16], (keys, stride): (&[i8], usize), codes: &[u8], down: i32, out: &mut [i32]) -> Option<()> {
        let count = out.len().min(codes.len());
        // The last key need not be followed by those of other heads.
        let fits = keys.len() >= count.checked_sub(1)?.checked_mul(stride)?.checked_add(query.len())?;
        let whole = if fits && query.len().is_multiple_of(8) { count & !7 } else { 0 };
        for first in (0..whole).step_by(8) {
            // SAFETY: there is AVX2; eight keys, codes and scores from `first` on are there.
            unsafe { eight_scores(query, (keys, stride), codes, down, first, out) }
        }
        let (keys, codes) = (keys.get(whole * stride..).unwrap_or(&[]), codes.get(whole..)?);
        Portable::scores(query, (keys, stride), codes, down, out.get_mut(whole..)?)
    }

    #[inline(always)]
    fn add_part(part: &[i16], angles: &[i16], down: i32, scores: &mut [i32]) -> Option<i32> {
        let known = part.len().is_multiple_of(8) && (1..=31).contains(&down) && !part.is_empty();
        let places = angles.len().checked_div(part.len()).unwrap_or(0).min(scores.len());
        let whole = if known { places & !7 } else { 0 };
        for first in (0..whole).step_by(8) {
            // SAFETY: there is AVX2; eight places and scores from `first` on are there.
            unsafe { eight_parts(part, angles, down, first, scores) }
        }
        if let (Some(angles), Some(scores)) = (angles.get(whole * part.len()..), scores.get_mut(whole..)) {
            Portable::add_part(part, angles, down, scores);
        }
        scores.get(..places)?.iter().copied().max()
    }

    #[inline(always)]
    fn powers(scores: &[i32], codes: &[u8], (max, finest): (i32, i32), weights: &mut [i16]) -> u32 {
        let whole = scores.len().min(codes.len()).min(weights.len()) & !7;
        // SAFETY: there is AVX2; `whole` is a multiple of 8, and the slices are as long.
        let total = unsafe { powers(scores, codes, (max, finest), weights, whole) };
        let (Some(scores), Some(codes), Some(weights)) =
            (scores.get(whole..), codes.get(whole..), weights.get_mut(whole..))
        else {
            return total;
        };
        total.wrapping_add(Portable::powers(scores, codes, (max, finest), weights))
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn dot8(a: &[i16], b: &[i8]) -> i32 {
    let len = a.len().min(b.len());
    let mut acc = _mm256_setzero_si256();
    let whole = len & !15;
    for at in (0..whole).step_by(16) {
        // SAFETY: sixteen elements from `at` on are there.
        unsafe { acc = _mm256_add_epi32(acc, _mm256_madd_epi16(wide16(b, at), load16(a, at))) };
    }
    let rest = a.iter().zip(b).skip(whole).fold(0_i32, |sum, (&a, &b)| sum.wrapping_add(i32::from(a) * i32::from(b)));
    rest.wrapping_add(sum(acc))
}

/// Sixteen bytes from `at` on, widened.
///
/// # Safety
/// `at + 16 ≤ x.len()`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn wide16(x: &[i8], at: usize) -> __m256i {
    debug_assert!(at + 16 <= x.len());
    // SAFETY: as the caller promises.
    unsafe { _mm256_cvtepi8_epi16(_mm_loadu_si128(x.as_ptr().add(at).cast())) }
}

/// `Σ a·b` of each row of `b`, four at a time.
///
/// # Safety
/// `b` holds `out.len()` rows of `stride ≥ a.len()`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn rows(a: &[i16], b: &[i8], stride: usize, out: &mut [i32]) {
    let whole = a.len() & !15;
    let (mut fours, mut first) = (out.chunks_exact_mut(4), 0);
    for four in &mut fours {
        let mut acc = [_mm256_setzero_si256(); 4];
        for at in (0..whole).step_by(16) {
            // SAFETY: sixteen elements from `at` on are in `a`, and in each row.
            unsafe {
                let a = load16(a, at);
                for (r, acc) in acc.iter_mut().enumerate() {
                    *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(wide16(b, (first + r) * stride + at), a));
                }
            }
        }
        let [p, q, r, s] = acc;
        let pairs = _mm256_hadd_epi32(_mm256_hadd_epi32(p, q), _mm256_hadd_epi32(r, s));
        let mut sums = _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256::<1>(pairs));
        if a.len() > whole {
            let mut rest = [0_i32; 4];
            for (r, rest) in rest.iter_mut().enumerate() {
                let row = b.get((first + r) * stride..).unwrap_or(&[]);
                let products = a.iter().zip(row).skip(whole);
                *rest = products.fold(0, |sum, (&a, &b)| sum.wrapping_add(i32::from(a) * i32::from(b)));
            }
            // SAFETY: four numbers.
            sums = _mm_add_epi32(sums, unsafe { _mm_loadu_si128(rest.as_ptr().cast()) });
        }
        // SAFETY: four numbers.
        unsafe { _mm_storeu_si128(four.as_mut_ptr().cast(), sums) };
        first += 4;
    }
    for out in fours.into_remainder() {
        *out = dot8(a, b.get(first * stride..).unwrap_or(&[]));
        first += 1;
    }
}

/// Mantissas and shifts of eight scales: see [`crate::kernels::attention::decode_scale`].
///
/// # Safety
/// `at + 8 ≤ codes.len()`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn scales(codes: &[u8], at: usize) -> (__m256i, __m256i) {
    debug_assert!(at + 8 <= codes.len());
    // SAFETY: as the caller promises.
    let codes = unsafe { _mm256_cvtepu8_epi32(_mm_loadl_epi64(codes.as_ptr().add(at).cast())) };
    let mant = _mm256_or_si256(_mm256_and_si256(codes, _mm256_set1_epi32(7)), _mm256_set1_epi32(8));
    (mant, _mm256_sub_epi32(_mm256_set1_epi32(24), _mm256_srli_epi32::<3>(codes)))
}

/// `⌊x / 2^shift + ½⌋` for shifts from 1 on; from 33 on 0 or, of what is negative, 0 too.
#[inline]
#[target_feature(enable = "avx2")]
fn shifted(x: __m256i, shift: __m256i) -> __m256i {
    let one = _mm256_set1_epi32(1);
    _mm256_srai_epi32::<1>(_mm256_add_epi32(_mm256_srav_epi32(x, _mm256_sub_epi32(shift, one)), one))
}

/// # Safety
/// Eight keys, each `stride` behind the other, eight codes and eight scores from `first` on are there; the query's length
/// is a multiple of 8.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn eight_scores(
    query: &[i16],
    (keys, stride): (&[i8], usize),
    codes: &[u8],
    down: i32,
    first: usize,
    out: &mut [i32],
) {
    let mut acc = [_mm256_setzero_si256(); 4];
    for at in (0..query.len()).step_by(8) {
        // SAFETY: eight elements from `at` on are in the query and in each key.
        unsafe {
            let q = _mm256_broadcastsi128_si256(_mm_loadu_si128(query.as_ptr().add(at).cast()));
            for (r, acc) in acc.iter_mut().enumerate() {
                let [a, b] = [first + r, first + r + 4].map(|slot| keys.as_ptr().add(slot * stride + at));
                let pair = _mm_unpacklo_epi64(_mm_loadl_epi64(a.cast()), _mm_loadl_epi64(b.cast()));
                *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(_mm256_cvtepi8_epi16(pair), q));
            }
        }
    }
    let [p, q, r, s] = acc;
    let dots = _mm256_hadd_epi32(_mm256_hadd_epi32(p, q), _mm256_hadd_epi32(r, s));
    // SAFETY: eight codes and scores.
    unsafe {
        let (mant, shift) = scales(codes, first);
        let shift = _mm256_sub_epi32(shift, _mm256_set1_epi32(down));
        let x = _mm256_mullo_epi32(dots, mant);
        if _mm256_movemask_epi8(_mm256_cmpgt_epi32(shift, _mm256_setzero_si256())) == -1 {
            store8(out, first, shifted(x, shift));
            return;
        }
        // Shifts up are rare, and saturate.
        let (x, shift) = (array(x), array(shift));
        for ((out, &x), &shift) in out.iter_mut().skip(first).zip(&x).zip(&shift) {
            *out = shift_down(x, shift);
        }
    }
}

/// # Safety
/// Eight rows of angles as long as `part`, a multiple of 8, and eight scores from `first` on are there.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn eight_parts(part: &[i16], angles: &[i16], down: i32, first: usize, scores: &mut [i32]) {
    let mut acc = [_mm256_setzero_si256(); 4];
    for at in (0..part.len()).step_by(8) {
        // SAFETY: eight elements from `at` on are in `part` and in each row of angles.
        unsafe {
            let part_at = _mm256_broadcastsi128_si256(_mm_loadu_si128(part.as_ptr().add(at).cast()));
            for (r, acc) in acc.iter_mut().enumerate() {
                let [a, b] = [first + r, first + r + 4].map(|place| angles.as_ptr().add(place * part.len() + at));
                let pair = _mm256_loadu2_m128i(b.cast(), a.cast());
                *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(pair, part_at));
            }
        }
    }
    let [p, q, r, s] = acc;
    let dots = _mm256_hadd_epi32(_mm256_hadd_epi32(p, q), _mm256_hadd_epi32(r, s));
    // SAFETY: eight scores.
    unsafe {
        let part = shifted(dots, _mm256_set1_epi32(down));
        store8(scores, first, saturating_add(load8(scores, first), part));
    }
}

/// # Safety
/// The slices are at least `whole` long, a multiple of 8.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn powers(scores: &[i32], codes: &[u8], (max, finest): (i32, i32), weights: &mut [i16], whole: usize) -> u32 {
    let mut total = _mm256_setzero_si256();
    for at in (0..whole).step_by(8) {
        // SAFETY: eight elements from `at` on are there.
        unsafe {
            let e = exp2_neg(_mm256_sub_epi32(_mm256_set1_epi32(max), load8(scores, at)));
            total = _mm256_add_epi32(total, e);
            let (mant, shift) = scales(codes, at);
            let shift = _mm256_add_epi32(shift, _mm256_set1_epi32(4 - finest));
            let w = shifted(_mm256_mullo_epi32(e, mant), shift);
            // At most 2^15 · 15 / 2^4: no saturation.
            let packed = _mm_packs_epi32(_mm256_castsi256_si128(w), _mm256_extracti128_si256::<1>(w));
            _mm_storeu_si128(weights.as_mut_ptr().add(at).cast(), packed);
        }
    }
    sum(total) as u32
}

/// [`crate::fixed::exp2_neg`] of eight numbers.
#[inline]
#[target_feature(enable = "avx2")]
fn exp2_neg(x: __m256i) -> __m256i {
    let octave = _mm256_srli_epi32::<16>(x);
    let step = _mm256_and_si256(_mm256_srli_epi32::<10>(x), _mm256_set1_epi32(63));
    let table = POWERS.as_ptr().cast::<i32>();
    // SAFETY: indices are at most 64, in a table of 65.
    let (high, low) =
        unsafe { (_mm256_i32gather_epi32::<4>(table, step), _mm256_i32gather_epi32::<4>(table.add(1), step)) };
    let part = _mm256_and_si256(x, _mm256_set1_epi32(1023));
    let fall = _mm256_srli_epi32::<10>(_mm256_mullo_epi32(_mm256_sub_epi32(high, low), part));
    let one = _mm256_set1_epi32(1);
    // Shifts from 32 on leave nothing, as do octaves above 16: there the sum is below 2^(octave + 1).
    let rounded = _mm256_add_epi32(_mm256_sub_epi32(high, fall), _mm256_sllv_epi32(one, octave));
    let e = _mm256_srlv_epi32(rounded, _mm256_add_epi32(octave, one));
    _mm256_and_si256(e, _mm256_cmpgt_epi32(_mm256_set1_epi32(17), octave))
}
