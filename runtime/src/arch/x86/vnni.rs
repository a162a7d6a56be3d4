#![allow(unsafe_code)]
//! What the kernels with AVX-512's products of bytes (VNNI) share: results of sixteen sums, and memory for packed weights.
//!
//! VPDPBUSD multiplies unsigned by signed bytes: activations are raised by 128, which exclusive or with 0x80 does, and
//! `128 · Σ w` is taken from the bias. All sums are exact modulo 2^32.

use core::arch::x86_64::*;
use core::mem::MaybeUninit;

use crate::fixed::{MAX_SHIFT, MIN_TFLITE_SHIFT, Rounding, TFLITE_FLAG};
use crate::kernels::PerChannel;

/// Outputs of a vector of sums.
pub(super) const LANES: usize = 16;
/// Vectors of [`Memory`].
const CAPACITY: usize = 2_048;
/// Bytes of [`Bytes`].
const BYTES: usize = 32 * 1_024;

/// Whether the processor has VNNI, and what else these kernels need.
#[inline(always)]
pub(super) fn vnni() -> bool {
    #[cfg(any(test, feature = "std"))]
    {
        use std::is_x86_feature_detected as has;
        has!("avx512f") && has!("avx512bw") && has!("avx512vl") && has!("avx512vnni") && has!("avx2")
    }
    #[cfg(not(any(test, feature = "std")))]
    {
        cfg!(all(target_feature = "avx512bw", target_feature = "avx512vl", target_feature = "avx512vnni"))
    }
}

/// Vectors on the stack, 128 KiB; written before they are read.
pub(super) struct Memory([MaybeUninit<__m512i>; CAPACITY]);

impl Memory {
    pub(super) const fn new() -> Self {
        Self([MaybeUninit::uninit(); CAPACITY])
    }

    /// The first vector, if there is room for so many.
    #[inline]
    pub(super) fn room(&mut self, vectors: usize) -> Option<*mut __m512i> {
        self.0.get_mut(..vectors).map(|room| room.as_mut_ptr().cast())
    }
}

/// Bytes on the stack, 32 KiB; written before they are read.
#[repr(C, align(64))]
pub(super) struct Bytes([MaybeUninit<u8>; BYTES]);

impl Bytes {
    pub(super) const fn new() -> Self {
        Self([MaybeUninit::uninit(); BYTES])
    }

    /// The first byte, if there is room for so many: zeros.
    #[inline]
    pub(super) fn room(&mut self, len: usize) -> Option<*mut u8> {
        let room = self.0.get_mut(..len)?;
        room.fill(MaybeUninit::new(0));
        Some(room.as_mut_ptr().cast())
    }
}

/// Bytes behind a place written by [`copy`] or [`fill`] that may be overwritten: whole vectors are, because what is read
/// soon after from a vector that was written in part waits for it.
pub(super) const SPILL: usize = 64;

/// Copies `len` bytes, each exclusive or `flip`.
///
/// # Safety
/// `len` bytes can be read at `from` and, with [`SPILL`] behind them, written at `to`; they do not overlap.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn copy(from: *const i8, to: *mut u8, len: usize, flip: u8) {
    let flip = _mm512_set1_epi8(flip.cast_signed());
    let mut at = 0;
    // SAFETY: only bytes below `len` are read; what is written begins below `len`.
    unsafe {
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

/// Writes `value` to `len` bytes.
///
/// # Safety
/// They can be written at `to`, with [`SPILL`] behind them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn fill(to: *mut u8, len: usize, value: u8) {
    let value = _mm512_set1_epi8(value.cast_signed());
    for at in (0..len).step_by(64) {
        // SAFETY: what is written begins below `len`.
        unsafe { _mm512_storeu_si512(to.add(at).cast(), value) };
    }
}

/// Writes the first of sixteen results.
///
/// # Safety
/// `count` bytes can be written at `to`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn store(to: *mut i8, count: usize, y: __m128i) {
    // SAFETY: as the caller promises.
    unsafe {
        match count {
            LANES.. => _mm_storeu_si128(to.cast(), y),
            _ => _mm_mask_storeu_epi8(to, low_mask(count) as u16, y),
        }
    }
}

/// A bit for each of the first `len` of 64.
#[inline(always)]
pub(super) fn low_mask(len: usize) -> u64 {
    if len >= 64 { u64::MAX } else { (1 << len) - 1 }
}

/// How all results of an operator are rounded, if they all are alike and by vectors.
pub(super) fn rounding(requant: &PerChannel<i8>) -> Option<Rounding> {
    let once = |&s: &u8| s > 32 && s <= MAX_SHIFT;
    let tflite = |&s: &u8| s >= TFLITE_FLAG | MIN_TFLITE_SHIFT;
    match (requant.shift.iter().all(once), requant.shift.iter().all(tflite)) {
        (true, _) => Some(Rounding::Once),
        (_, true) => Some(Rounding::TfLite),
        _ => None,
    }
}

/// Biases and factors of sixteen outputs.
#[derive(Clone, Copy)]
pub(super) struct Factors {
    pub(super) bias: __m512i,
    mult: __m512i,
    /// Once: `shift − 32`; else [`crate::fixed::requantize_tflite`]'s `e − 1`.
    shift: __m512i,
    /// Once: what rounds.
    half: __m512i,
}

/// Where results land.
#[derive(Clone, Copy)]
pub(super) struct Landing {
    rounding: Rounding,
    zero_point: __m512i,
    min: __m512i,
    max: __m512i,
}

impl Landing {
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn new(requant: &PerChannel<i8>, rounding: Rounding) -> Self {
        Self {
            rounding,
            zero_point: _mm512_set1_epi32(requant.output.zero_point),
            min: _mm512_set1_epi32(requant.output.min.into()),
            max: _mm512_set1_epi32(requant.output.max.into()),
        }
    }

    /// Sixteen results, clamped to int8.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn finish(self, f: &Factors, acc: __m512i) -> __m128i {
        let y = match self.rounding {
            Rounding::Once => {
                let even = _mm512_mul_epi32(acc, f.mult);
                let odd = _mm512_mul_epi32(_mm512_srli_epi64::<32>(acc), _mm512_srli_epi64::<32>(f.mult));
                let high = _mm512_mask_mov_epi32(_mm512_srli_epi64::<32>(even), 0xAAAA, odd);
                _mm512_srav_epi32(_mm512_add_epi32(high, f.half), f.shift)
            }
            Rounding::TfLite => {
                let q = doubled_high(acc, f.mult);
                let q = _mm512_add_epi32(q, _mm512_srai_epi32::<31>(q));
                let one = _mm512_set1_epi32(1);
                _mm512_srai_epi32::<1>(_mm512_add_epi32(_mm512_srav_epi32(q, f.shift), one))
            }
        };
        // At most 2^30: the zero point does not overflow it.
        let y = _mm512_add_epi32(y, self.zero_point);
        _mm512_cvtepi32_epi8(_mm512_max_epi32(_mm512_min_epi32(y, self.max), self.min))
    }
}

/// `⌊a · b / 2^31 + ½⌋`, of which 32 bits are kept.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn doubled_high(a: __m512i, b: __m512i) -> __m512i {
    let half = _mm512_set1_epi64(1 << 30);
    let even = _mm512_add_epi64(_mm512_mul_epi32(a, b), half);
    let odd = _mm512_mul_epi32(_mm512_srli_epi64::<32>(a), _mm512_srli_epi64::<32>(b));
    let odd = _mm512_slli_epi64::<1>(_mm512_add_epi64(odd, half));
    _mm512_mask_mov_epi32(_mm512_srli_epi64::<31>(even), 0xAAAA, odd)
}

impl Factors {
    /// Of sixteen outputs from `first` on; what there is not is 0.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn from(requant: &PerChannel<i8>, rounding: Rounding, first: usize) -> Self {
        let words = |x: &[i32]| {
            let rest = x.get(first..).unwrap_or(&[]);
            // SAFETY: only what there is is read.
            unsafe { _mm512_maskz_loadu_epi32(low_mask(rest.len().min(LANES)) as u16, rest.as_ptr()) }
        };
        let rest = requant.shift.get(first..).unwrap_or(&[]);
        // SAFETY: likewise.
        let shift = unsafe { _mm_maskz_loadu_epi8(low_mask(rest.len().min(LANES)) as u16, rest.as_ptr().cast()) };
        Self::new(rounding, words(requant.bias), words(requant.mult), _mm512_cvtepu8_epi32(shift))
    }

    /// Of outputs `channel(lane)`; what there is not is 0.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn of(requant: &PerChannel<i8>, rounding: Rounding, channel: impl Fn(usize) -> usize) -> Self {
        let [bias, mult, shift]: [[i32; LANES]; 3] = [
            core::array::from_fn(|lane| requant.bias.get(channel(lane)).copied().unwrap_or(0)),
            core::array::from_fn(|lane| requant.mult.get(channel(lane)).copied().unwrap_or(0)),
            core::array::from_fn(|lane| requant.shift.get(channel(lane)).copied().unwrap_or(0).into()),
        ];
        // SAFETY: each holds sixteen numbers.
        let [bias, mult, shift] = [bias, mult, shift].map(|x| unsafe { _mm512_loadu_si512(x.as_ptr().cast()) });
        Self::new(rounding, bias, mult, shift)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn new(rounding: Rounding, bias: __m512i, mult: __m512i, shift: __m512i) -> Self {
        let one = _mm512_set1_epi32(1);
        let least = match rounding {
            Rounding::Once => 32,
            Rounding::TfLite => i32::from(TFLITE_FLAG | MIN_TFLITE_SHIFT),
        };
        // In range for outputs that there are: see `rounding`.
        let shift = _mm512_max_epi32(_mm512_sub_epi32(shift, _mm512_set1_epi32(least)), _mm512_setzero_si512());
        let shift = _mm512_min_epi32(shift, _mm512_set1_epi32(30));
        Self { bias, mult, shift, half: _mm512_sllv_epi32(one, _mm512_sub_epi32(shift, one)) }
    }
}
