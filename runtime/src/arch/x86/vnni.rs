#![allow(unsafe_code)]
//! AVX-512 with products of bytes (VNNI).
//!
//! VPDPBUSD multiplies unsigned by signed bytes: inputs are raised by 128, which exclusive or with 0x80 does, and `128 · Σ w` is
//! taken from the bias. All sums are exact modulo 2^32.

use core::arch::x86_64::*;

use super::set::{LANES, Rows, Set};
use super::vector;
use crate::kernels::Output;

/// Only `at_widest!` names this type: whatever calls its functions has `avx512f`, `avx512bw`, `avx512vl` and `avx512vnni`.
pub(super) struct Vnni;

/// A bit for each of the first `len` of 64.
#[inline(always)]
fn low_mask(len: usize) -> u64 {
    if len >= 64 { u64::MAX } else { (1 << len) - 1 }
}

impl Set for Vnni {
    type Words = __m512i;
    type Input = u8;
    type Inputs = __m512i;
    type Weights = __m512i;
    /// Zero point, smallest, largest.
    type Ends = [__m512i; 3];

    const GROUP: usize = 4;
    const TILES: [usize; 2] = [8, 4];
    const PAIRS: bool = true;

    #[inline(always)]
    fn splat(x: i32) -> __m512i {
        // SAFETY: see `Vnni`.
        unsafe { _mm512_set1_epi32(x) }
    }

    #[inline(always)]
    fn words(x: &[i32; LANES]) -> __m512i {
        // SAFETY: see `Vnni`; sixteen numbers.
        unsafe { _mm512_loadu_si512(x.as_ptr().cast()) }
    }

    #[inline(always)]
    fn widen(x: __m128i) -> __m512i {
        // SAFETY: see `Vnni`.
        unsafe { _mm512_cvtepi8_epi32(x) }
    }

    #[inline(always)]
    fn add(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see `Vnni`.
        unsafe { _mm512_add_epi32(a, b) }
    }

    #[inline(always)]
    fn sub(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see `Vnni`.
        unsafe { _mm512_sub_epi32(a, b) }
    }

    #[inline(always)]
    fn mul(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see `Vnni`.
        unsafe { _mm512_mullo_epi32(a, b) }
    }

    #[inline(always)]
    fn multiply_high(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see `Vnni`.
        unsafe {
            let even = _mm512_mul_epi32(a, b);
            let odd = _mm512_mul_epi32(_mm512_srli_epi64::<32>(a), _mm512_srli_epi64::<32>(b));
            _mm512_mask_mov_epi32(_mm512_srli_epi64::<32>(even), 0xAAAA, odd)
        }
    }

    #[inline(always)]
    fn doubled_high(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see `Vnni`.
        unsafe {
            let half = _mm512_set1_epi64(1 << 30);
            let even = _mm512_add_epi64(_mm512_mul_epi32(a, b), half);
            let odd = _mm512_mul_epi32(_mm512_srli_epi64::<32>(a), _mm512_srli_epi64::<32>(b));
            let odd = _mm512_slli_epi64::<1>(_mm512_add_epi64(odd, half));
            _mm512_mask_mov_epi32(_mm512_srli_epi64::<31>(even), 0xAAAA, odd)
        }
    }

    #[inline(always)]
    fn up(a: __m512i, by: i32) -> __m512i {
        // SAFETY: see `Vnni`.
        unsafe { _mm512_sll_epi32(a, _mm_cvtsi32_si128(by)) }
    }

    #[inline(always)]
    fn down(a: __m512i, by: i32) -> __m512i {
        // SAFETY: see `Vnni`.
        unsafe { _mm512_sra_epi32(a, _mm_cvtsi32_si128(by)) }
    }

    #[inline(always)]
    fn power(by: __m512i) -> __m512i {
        // SAFETY: see `Vnni`.
        unsafe { _mm512_sllv_epi32(_mm512_set1_epi32(1), by) }
    }

    #[inline(always)]
    fn down_each(a: __m512i, by: __m512i) -> __m512i {
        // SAFETY: see `Vnni`.
        unsafe { _mm512_srav_epi32(a, by) }
    }

    #[inline(always)]
    fn ends(output: &Output<i8>) -> [__m512i; 3] {
        [output.zero_point, output.min.into(), output.max.into()].map(Self::splat)
    }

    #[inline(always)]
    fn land(y: __m512i, &[zero_point, min, max]: &[__m512i; 3]) -> __m128i {
        // SAFETY: see `Vnni`.
        unsafe {
            let y = _mm512_add_epi32(y, zero_point);
            _mm512_cvtepi32_epi8(_mm512_max_epi32(_mm512_min_epi32(y, max), min))
        }
    }

    #[inline(always)]
    unsafe fn part(from: *const i8, count: usize) -> __m128i {
        // SAFETY: see `Vnni`; only `count` bytes are read.
        unsafe {
            match count {
                LANES.. => _mm_loadu_si128(from.cast()),
                _ => _mm_maskz_loadu_epi8(low_mask(count) as u16, from),
            }
        }
    }

    #[inline(always)]
    unsafe fn store(to: *mut i8, count: usize, y: __m128i) {
        // SAFETY: see `Vnni`; the caller promises `count` bytes.
        unsafe {
            match count {
                LANES.. => _mm_storeu_si128(to.cast(), y),
                _ => _mm_mask_storeu_epi8(to, low_mask(count) as u16, y),
            }
        }
    }

    #[inline(always)]
    unsafe fn copy(from: *const i8, to: *mut u8, len: usize) {
        // SAFETY: see `Vnni`; only bytes below `len` are read; what is written begins below `len`.
        unsafe {
            let flip = _mm512_set1_epi8(i8::MIN);
            let mut at = 0;
            while at + 64 <= len {
                let x = _mm512_loadu_si512(from.add(at).cast());
                _mm512_storeu_si512(to.add(at).cast(), _mm512_xor_si512(x, flip));
                at += 64;
            }
            if at < len {
                let x = _mm512_maskz_loadu_epi8(low_mask(len - at), from.add(at));
                _mm512_storeu_si512(to.add(at).cast(), _mm512_xor_si512(x, flip));
            }
        }
    }

    #[inline(always)]
    unsafe fn fill(to: *mut u8, len: usize, value: i8) {
        for at in (0..len).step_by(64) {
            // SAFETY: see `Vnni`; what is written begins below `len`.
            unsafe { _mm512_storeu_si512(to.add(at).cast(), _mm512_set1_epi8(value ^ i8::MIN)) };
        }
    }

    #[inline(always)]
    unsafe fn pack<const FULL: bool>(rows: &Rows, bias: __m512i, to: *mut u8) -> __m512i {
        /// Lane l of vector j: row 4l + j.
        #[inline(always)]
        unsafe fn four<const FULL: bool>(rows: &Rows, j: usize) -> __m512i {
            // SAFETY: as the caller promises.
            unsafe {
                let v = _mm512_castsi128_si512(rows.get::<Vnni, FULL>(j));
                let v = _mm512_inserti32x4::<1>(v, rows.get::<Vnni, FULL>(j + 4));
                let v = _mm512_inserti32x4::<2>(v, rows.get::<Vnni, FULL>(j + 8));
                _mm512_inserti32x4::<3>(v, rows.get::<Vnni, FULL>(j + 12))
            }
        }
        // SAFETY: see `Vnni`; the caller promises the rows, and room for the groups.
        unsafe {
            let (a, b, c, d) =
                (four::<FULL>(rows, 0), four::<FULL>(rows, 1), four::<FULL>(rows, 2), four::<FULL>(rows, 3));
            let (ab, cd) = (_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c, d));
            let (ab_high, cd_high) = (_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c, d));
            let fours = [
                _mm512_unpacklo_epi64(ab, cd),
                _mm512_unpackhi_epi64(ab, cd),
                _mm512_unpacklo_epi64(ab_high, cd_high),
                _mm512_unpackhi_epi64(ab_high, cd_high),
            ];
            let mut sums = _mm512_setzero_si512();
            for (at, v) in fours.into_iter().enumerate().take(rows.count.div_ceil(Self::GROUP)) {
                sums = _mm512_dpbusd_epi32(sums, _mm512_set1_epi8(1), v);
                _mm512_storeu_si512(to.add(at * 64).cast(), v);
            }
            _mm512_sub_epi32(bias, _mm512_slli_epi32::<7>(sums))
        }
    }

    #[inline(always)]
    unsafe fn weights(from: *const u8) -> __m512i {
        // SAFETY: see `Vnni`; sixteen fours of weights.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn inputs(from: *const u8) -> __m512i {
        // SAFETY: see `Vnni`; four bytes.
        unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    fn plus(acc: __m512i, x: __m512i, w: __m512i) -> __m512i {
        // SAFETY: see `Vnni`.
        unsafe { _mm512_dpbusd_epi32(acc, x, w) }
    }

    #[inline(always)]
    fn side_by_side(w: [__m128i; 4]) -> __m512i {
        // SAFETY: see `Vnni`.
        unsafe {
            let [a, b, c, d] = w.map(|w| _mm512_cvtepu8_epi32(w));
            let (a, b) = (_mm512_or_si512(a, _mm512_slli_epi32::<8>(b)), _mm512_slli_epi32::<16>(c));
            _mm512_or_si512(_mm512_or_si512(a, b), _mm512_slli_epi32::<24>(d))
        }
    }

    #[inline(always)]
    fn lower(bias: __m512i, w: __m512i) -> __m512i {
        // SAFETY: see `Vnni`.
        unsafe {
            let sums = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1), w);
            _mm512_sub_epi32(bias, _mm512_slli_epi32::<7>(sums))
        }
    }

    #[inline(always)]
    unsafe fn push(inputs: __m512i, x: *const u8) -> __m512i {
        // SAFETY: see `Vnni`; sixteen bytes.
        unsafe {
            let last = _mm512_slli_epi32::<24>(_mm512_cvtepu8_epi32(_mm_loadu_si128(x.cast())));
            _mm512_or_si512(_mm512_srli_epi32::<8>(inputs), last)
        }
    }

    #[inline(always)]
    fn plus_each(acc: __m512i, x: __m512i, w: __m512i) -> __m512i {
        Self::plus(acc, x, w)
    }

    /// A second product, by 128, gives what raising the input added.
    #[inline(always)]
    unsafe fn dots(x: &[i8], rows: [*const i8; LANES]) -> __m512i {
        #[inline(always)]
        unsafe fn eight(x: &[i8], rows: &[*const i8]) -> __m256i {
            // SAFETY: see `Vnni`; only what lies within the vector and the rows is read.
            unsafe {
                let raised = _mm512_set1_epi8(i8::MIN);
                let mut acc = [_mm512_setzero_si512(); 8];
                let mut raise = [_mm512_setzero_si512(); 8];
                for at in (0..x.len()).step_by(64) {
                    let mask = low_mask(x.len() - at);
                    let x = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, x.as_ptr().add(at)), raised);
                    for ((acc, raise), row) in acc.iter_mut().zip(&mut raise).zip(rows) {
                        let weights = _mm512_maskz_loadu_epi8(mask, row.add(at));
                        *acc = _mm512_dpbusd_epi32(*acc, x, weights);
                        *raise = _mm512_dpbusd_epi32(*raise, raised, weights);
                    }
                }
                let mut folded = [_mm256_setzero_si256(); 8];
                for ((folded, acc), raise) in folded.iter_mut().zip(acc).zip(raise) {
                    let acc = _mm512_sub_epi32(acc, raise);
                    *folded = _mm256_add_epi32(_mm512_castsi512_si256(acc), _mm512_extracti64x4_epi64::<1>(acc));
                }
                vector::sums(folded)
            }
        }
        let [upper, lower] = rows.as_chunks::<8>().0 else { return Self::splat(0) };
        // SAFETY: as the caller promises.
        unsafe { _mm512_inserti64x4::<1>(_mm512_castsi256_si512(eight(x, upper)), eight(x, lower)) }
    }
}
