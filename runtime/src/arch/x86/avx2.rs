#![allow(unsafe_code)]
//! AVX2: products of 16 bits, two to a sum (VPMADDWD), which are exact.
//!
//! Sixteen numbers are two vectors, in the order that VPUNPCK makes of sixteen and VPACK undoes: 0 to 3 and 8 to 11, 4 to 7 and 12 to 15.
//! Rows of the ring hold inputs of 16 bits; panels hold weights as bytes, widened as they are read, which keeps them in the cache.

use core::arch::x86_64::*;

use super::set::{LANES, Rows, Set};
use super::vector;
use crate::kernels::Output;

/// Only `at_widest!` names this type: whatever calls its functions has `avx2`.
pub(super) struct Avx2;

/// Two vectors: see the module.
type Two = [__m256i; 2];

/// `f` of both vectors of both.
#[inline(always)]
fn both(a: Two, b: Two, f: impl Fn(__m256i, __m256i) -> __m256i) -> Two {
    [f(a[0], b[0]), f(a[1], b[1])]
}

impl Set for Avx2 {
    type Words = Two;
    type Input = i16;
    type Inputs = __m256i;
    type Weights = Two;
    /// Zero point of 16 bits, smallest, largest.
    type Ends = (__m256i, __m128i, __m128i);

    const GROUP: usize = 2;
    const TILES: [usize; 2] = [6, 3];
    const PAIRS: bool = false;

    #[inline(always)]
    fn splat(x: i32) -> Two {
        // SAFETY: see `Avx2`.
        [unsafe { _mm256_set1_epi32(x) }; 2]
    }

    #[inline(always)]
    fn words(x: &[i32; LANES]) -> Two {
        // SAFETY: see `Avx2`; sixteen numbers.
        unsafe {
            let [a, b] = [0, 8].map(|at| vector::load8(x, at));
            [_mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x31>(a, b)]
        }
    }

    #[inline(always)]
    fn widen(x: __m128i) -> Two {
        // SAFETY: see `Avx2`.
        unsafe {
            let (x, zero) = (_mm256_cvtepi8_epi16(x), _mm256_setzero_si256());
            let (low, high) = (_mm256_unpacklo_epi16(zero, x), _mm256_unpackhi_epi16(zero, x));
            [_mm256_srai_epi32::<16>(low), _mm256_srai_epi32::<16>(high)]
        }
    }

    #[inline(always)]
    fn add(a: Two, b: Two) -> Two {
        // SAFETY: see `Avx2`.
        both(a, b, |a, b| unsafe { _mm256_add_epi32(a, b) })
    }

    #[inline(always)]
    fn sub(a: Two, b: Two) -> Two {
        // SAFETY: see `Avx2`.
        both(a, b, |a, b| unsafe { _mm256_sub_epi32(a, b) })
    }

    #[inline(always)]
    fn mul(a: Two, b: Two) -> Two {
        // SAFETY: see `Avx2`.
        both(a, b, |a, b| unsafe { _mm256_mullo_epi32(a, b) })
    }

    #[inline(always)]
    fn multiply_high(a: Two, b: Two) -> Two {
        // SAFETY: see `Avx2`.
        both(a, b, |a, b| unsafe { vector::multiply_high(a, b) })
    }

    #[inline(always)]
    fn doubled_high(a: Two, b: Two) -> Two {
        // SAFETY: see `Avx2`.
        both(a, b, |a, b| unsafe {
            let half = _mm256_set1_epi64x(1 << 30);
            let even = _mm256_add_epi64(_mm256_mul_epi32(a, b), half);
            let odd = _mm256_mul_epi32(_mm256_srli_epi64::<32>(a), _mm256_srli_epi64::<32>(b));
            let odd = _mm256_slli_epi64::<1>(_mm256_add_epi64(odd, half));
            _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<31>(even), odd)
        })
    }

    #[inline(always)]
    fn up(a: Two, by: i32) -> Two {
        // SAFETY: see `Avx2`.
        a.map(|a| unsafe { _mm256_sll_epi32(a, _mm_cvtsi32_si128(by)) })
    }

    #[inline(always)]
    fn down(a: Two, by: i32) -> Two {
        // SAFETY: see `Avx2`.
        a.map(|a| unsafe { _mm256_sra_epi32(a, _mm_cvtsi32_si128(by)) })
    }

    #[inline(always)]
    fn power(by: Two) -> Two {
        // SAFETY: see `Avx2`.
        by.map(|by| unsafe { _mm256_sllv_epi32(_mm256_set1_epi32(1), by) })
    }

    #[inline(always)]
    fn down_each(a: Two, by: Two) -> Two {
        // SAFETY: see `Avx2`.
        both(a, by, |a, by| unsafe { _mm256_srav_epi32(a, by) })
    }

    #[inline(always)]
    fn ends(output: &Output<i8>) -> Self::Ends {
        let zero_point = output.zero_point.clamp(i8::MIN.into(), i8::MAX.into()) as i16;
        // SAFETY: see `Avx2`.
        unsafe { (_mm256_set1_epi16(zero_point), _mm_set1_epi8(output.min), _mm_set1_epi8(output.max)) }
    }

    /// Saturation to 16 and to 8 bits, which is beyond the ends, changes nothing.
    #[inline(always)]
    fn land([low, high]: Two, &(zero_point, min, max): &Self::Ends) -> __m128i {
        // SAFETY: see `Avx2`.
        unsafe {
            let y = _mm256_adds_epi16(_mm256_packs_epi32(low, high), zero_point);
            let y = _mm_packs_epi16(_mm256_castsi256_si128(y), _mm256_extracti128_si256::<1>(y));
            _mm_max_epi8(_mm_min_epi8(y, max), min)
        }
    }

    #[inline(always)]
    unsafe fn part(from: *const i8, count: usize) -> __m128i {
        // SAFETY: the caller promises `count` bytes.
        unsafe { if count >= LANES { _mm_loadu_si128(from.cast()) } else { less(from, count) } }
    }

    #[inline(always)]
    unsafe fn store(to: *mut i8, count: usize, y: __m128i) {
        // SAFETY: see `Avx2`; the caller promises `count` bytes.
        unsafe {
            if count >= LANES {
                _mm_storeu_si128(to.cast(), y);
                return;
            }
            let (mut rest, mut to) = (_mm_cvtsi128_si64(y).cast_unsigned(), to);
            if count & 8 != 0 {
                to.cast::<u64>().write_unaligned(rest);
                (rest, to) = (_mm_extract_epi64::<1>(y).cast_unsigned(), to.add(8));
            }
            if count & 4 != 0 {
                to.cast::<u32>().write_unaligned(rest as u32);
                (rest, to) = (rest >> 32, to.add(4));
            }
            for at in 0..count & 3 {
                to.add(at).write((rest >> (8 * at)) as i8);
            }
        }
    }

    #[inline(always)]
    unsafe fn copy(from: *const i8, to: *mut i16, len: usize) {
        // SAFETY: see `Avx2`; only bytes below `len` are read; what is written begins below `len`.
        unsafe {
            let mut at = 0;
            while at + LANES <= len {
                let x = _mm256_cvtepi8_epi16(_mm_loadu_si128(from.add(at).cast()));
                _mm256_storeu_si256(to.add(at).cast(), x);
                at += LANES;
            }
            if at < len {
                let x = _mm256_cvtepi8_epi16(Self::part(from.add(at), len - at));
                _mm256_storeu_si256(to.add(at).cast(), x);
            }
        }
    }

    #[inline(always)]
    unsafe fn fill(to: *mut i16, len: usize, value: i8) {
        for at in (0..len).step_by(LANES) {
            // SAFETY: see `Avx2`; what is written begins below `len`.
            unsafe { _mm256_storeu_si256(to.add(at).cast(), _mm256_set1_epi16(value.into())) };
        }
    }

    #[inline(always)]
    unsafe fn pack<const FULL: bool>(rows: &Rows, bias: Two, to: *mut u8) -> Two {
        /// Row `r`, and in the upper half the fourth behind it.
        #[inline(always)]
        unsafe fn two<const FULL: bool>(rows: &Rows, r: usize) -> __m256i {
            // SAFETY: see `Avx2`; the caller promises the rows.
            unsafe {
                let low = _mm256_castsi128_si256(rows.get::<Avx2, FULL>(r));
                _mm256_inserti128_si256::<1>(low, rows.get::<Avx2, FULL>(r + 4))
            }
        }
        /// Pairs of weights of rows `r` to `r + 3`, and in the upper halves of those behind them, side by side.
        #[inline(always)]
        unsafe fn fours<const FULL: bool>(rows: &Rows, r: usize) -> [__m256i; 4] {
            // SAFETY: see `Avx2`; the caller promises the rows.
            unsafe {
                let (a, b) = (two::<FULL>(rows, r), two::<FULL>(rows, r + 1));
                let (c, d) = (two::<FULL>(rows, r + 2), two::<FULL>(rows, r + 3));
                let (ab, cd) = (_mm256_unpacklo_epi16(a, b), _mm256_unpacklo_epi16(c, d));
                let (ab_high, cd_high) = (_mm256_unpackhi_epi16(a, b), _mm256_unpackhi_epi16(c, d));
                [
                    _mm256_unpacklo_epi32(ab, cd),
                    _mm256_unpackhi_epi32(ab, cd),
                    _mm256_unpacklo_epi32(ab_high, cd_high),
                    _mm256_unpackhi_epi32(ab_high, cd_high),
                ]
            }
        }
        let groups = rows.count.div_ceil(Self::GROUP);
        // SAFETY: see `Avx2`; the caller promises the rows, and room for the groups.
        unsafe {
            let (upper, lower) = (fours::<FULL>(rows, 0), fours::<FULL>(rows, 8));
            for (column, (upper, lower)) in upper.into_iter().zip(lower).enumerate() {
                let columns = [_mm256_unpacklo_epi64(upper, lower), _mm256_unpackhi_epi64(upper, lower)];
                for (at, v) in columns.into_iter().enumerate() {
                    if 2 * column + at < groups {
                        _mm256_storeu_si256(to.add((2 * column + at) * 32).cast(), v);
                    }
                }
            }
        }
        bias
    }

    #[inline(always)]
    unsafe fn weights(from: *const u8) -> Two {
        // SAFETY: see `Avx2`; sixteen pairs of weights.
        [0, 16].map(|at| unsafe { _mm256_cvtepi8_epi16(_mm_loadu_si128(from.add(at).cast())) })
    }

    #[inline(always)]
    unsafe fn inputs(from: *const i16) -> __m256i {
        // SAFETY: see `Avx2`; two inputs.
        unsafe { _mm256_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    fn plus(acc: Two, x: __m256i, w: Two) -> Two {
        // SAFETY: see `Avx2`.
        both(acc, w, |acc, w| unsafe { _mm256_add_epi32(acc, _mm256_madd_epi16(x, w)) })
    }

    #[inline(always)]
    fn side_by_side([a, b, ..]: [__m128i; 4]) -> Two {
        // SAFETY: see `Avx2`.
        unsafe {
            let (a, b) = (_mm256_cvtepi8_epi16(a), _mm256_cvtepi8_epi16(b));
            [_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b)]
        }
    }

    /// Inputs are as they are.
    #[inline(always)]
    fn lower(bias: Two, _: Two) -> Two {
        bias
    }

    #[inline(always)]
    unsafe fn push(inputs: Two, x: *const i16) -> Two {
        // SAFETY: see `Avx2`; sixteen inputs.
        unsafe {
            let (x, zero) = (_mm256_loadu_si256(x.cast()), _mm256_setzero_si256());
            let last = [_mm256_unpacklo_epi16(zero, x), _mm256_unpackhi_epi16(zero, x)];
            both(inputs, last, |inputs, last| _mm256_or_si256(_mm256_srli_epi32::<16>(inputs), last))
        }
    }

    #[inline(always)]
    fn plus_each(acc: Two, x: Two, w: Two) -> Two {
        // SAFETY: see `Avx2`.
        Self::add(acc, both(x, w, |x, w| unsafe { _mm256_madd_epi16(x, w) }))
    }

    #[inline(always)]
    unsafe fn dots(x: &[i8], rows: [*const i8; LANES]) -> Two {
        #[inline(always)]
        unsafe fn wide(from: *const i8, count: usize) -> __m256i {
            // SAFETY: see `Avx2`; the caller promises `count` bytes.
            unsafe { _mm256_cvtepi8_epi16(Avx2::part(from, count)) }
        }
        #[inline(always)]
        unsafe fn eight(x: &[i8], rows: &[*const i8]) -> __m256i {
            // SAFETY: see `Avx2`; only what lies within the vector and the rows is read.
            unsafe {
                let mut acc = [_mm256_setzero_si256(); 8];
                for at in (0..x.len()).step_by(LANES) {
                    let count = (x.len() - at).min(LANES);
                    let x = wide(x.as_ptr().add(at), count);
                    for (acc, row) in acc.iter_mut().zip(rows) {
                        *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(x, wide(row.add(at), count)));
                    }
                }
                vector::sums(acc)
            }
        }
        let [upper, lower] = rows.as_chunks::<8>().0 else { return Self::splat(0) };
        // SAFETY: see `Avx2`; as the caller promises.
        unsafe {
            let (a, b) = (eight(x, upper), eight(x, lower));
            [_mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x31>(a, b)]
        }
    }
}

/// [`Set::part`] of less than sixteen bytes.
///
/// # Safety
/// That of [`Set::part`].
#[inline(never)]
unsafe fn less(from: *const i8, count: usize) -> __m128i {
    // SAFETY: what is read begins at 0, or ends at `count`; SSE2 is there on every x86-64.
    unsafe {
        let word = |at: usize| from.add(at).cast::<u64>().read_unaligned();
        let half = |at: usize| u64::from(from.add(at).cast::<u32>().read_unaligned());
        let byte = |at: usize| u64::from(from.add(at).cast::<u8>().read());
        let (low, high) = match count {
            9.. => (word(0), word(count - 8) >> (8 * (16 - count))),
            8 => (word(0), 0),
            4.. => (half(0) | half(count - 4) << (8 * (count - 4)), 0),
            _ => ((0..count).fold(0, |x, at| x | byte(at) << (8 * at)), 0),
        };
        _mm_set_epi64x(high.cast_signed(), low.cast_signed())
    }
}
