#![allow(unsafe_code)]
//! Vectors of AVX2 and slices.

use core::arch::x86_64::*;

/// Eight numbers from `at` on.
///
/// # Safety
/// `at + 8 ≤ x.len()`.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn load8(x: &[i32], at: usize) -> __m256i {
    debug_assert!(at + 8 <= x.len());
    // SAFETY: as the caller promises; the load needs no alignment.
    unsafe { _mm256_loadu_si256(x.as_ptr().add(at).cast()) }
}

/// Writes eight numbers from `at` on.
///
/// # Safety
/// `at + 8 ≤ x.len()`.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn store8(x: &mut [i32], at: usize, v: __m256i) {
    debug_assert!(at + 8 <= x.len());
    // SAFETY: as the caller promises; the store needs no alignment.
    unsafe { _mm256_storeu_si256(x.as_mut_ptr().add(at).cast(), v) }
}

/// Sixteen 16-bit numbers from `at` on.
///
/// # Safety
/// `at + 16 ≤ x.len()`.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn load16(x: &[i16], at: usize) -> __m256i {
    debug_assert!(at + 16 <= x.len());
    // SAFETY: as the caller promises; the load needs no alignment.
    unsafe { _mm256_loadu_si256(x.as_ptr().add(at).cast()) }
}

/// The eight numbers.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn array(v: __m256i) -> [i32; 8] {
    let mut out = [0; 8];
    // SAFETY: `out` holds eight numbers.
    unsafe { store8(&mut out, 0, v) };
    out
}

/// The sum of each of eight vectors.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn sums([a, b, c, d, e, f, g, h]: [__m256i; 8]) -> __m256i {
    let low = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    let high = _mm256_hadd_epi32(_mm256_hadd_epi32(e, f), _mm256_hadd_epi32(g, h));
    _mm256_add_epi32(_mm256_permute2x128_si256::<0x20>(low, high), _mm256_permute2x128_si256::<0x31>(low, high))
}

/// The sum of a vector.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn sum(a: __m256i) -> i32 {
    let half = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256::<1>(a));
    let quarter = _mm_add_epi32(half, _mm_shuffle_epi32::<0b01_00_11_10>(half));
    _mm_cvtsi128_si32(_mm_add_epi32(quarter, _mm_shuffle_epi32::<0b10_11_00_01>(quarter)))
}

/// The high words of the products.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn multiply_high(a: __m256i, b: __m256i) -> __m256i {
    let even = _mm256_mul_epi32(a, b);
    let odd = _mm256_mul_epi32(_mm256_srli_epi64::<32>(a), _mm256_srli_epi64::<32>(b));
    _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<32>(even), odd)
}

/// Sums that saturate.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn saturating_add(a: __m256i, b: __m256i) -> __m256i {
    let sum = _mm256_add_epi32(a, b);
    // Of one sign, and the sum of the other.
    let over = _mm256_andnot_si256(_mm256_xor_si256(a, b), _mm256_xor_si256(a, sum));
    let limit = _mm256_xor_si256(_mm256_srai_epi32::<31>(a), _mm256_set1_epi32(i32::MAX));
    let chosen = _mm256_blendv_ps(_mm256_castsi256_ps(sum), _mm256_castsi256_ps(limit), _mm256_castsi256_ps(over));
    _mm256_castps_si256(chosen)
}
