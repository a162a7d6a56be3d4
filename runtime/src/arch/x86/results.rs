#![allow(unsafe_code)]
//! Sixteen results of sixteen sums.

use core::arch::x86_64::__m128i;
use core::array::from_fn;

use super::set::{LANES, Set};
use crate::fixed::{MAX_SHIFT, MIN_TFLITE_SHIFT, Rounding, TFLITE_FLAG};
use crate::kernels::PerChannel;

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
pub(super) struct Factors<S: Set> {
    pub(super) bias: S::Words,
    mult: S::Words,
    /// Once: `shift − 32`; else [`crate::fixed::requantize_tflite`]'s `e − 1`.
    shift: S::Words,
    /// Once: what rounds.
    half: S::Words,
}

impl<S: Set> Clone for Factors<S> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Set> Copy for Factors<S> {}

impl<S: Set> Factors<S> {
    /// Bytes.
    pub(super) const SIZE: usize = size_of::<Self>();

    /// Of sixteen outputs from `first` on; what there is not is 0.
    #[inline(always)]
    pub(super) fn from(requant: &PerChannel<i8>, rounding: Rounding, first: usize) -> Self {
        let whole = |x: &[i32]| x.get(first..).and_then(|x| x.first_chunk().copied());
        let shift = requant.shift.get(first..).and_then(|x| x.first_chunk());
        match (whole(requant.bias), whole(requant.mult), shift) {
            (Some(bias), Some(mult), Some(shift)) => Self::new(rounding, &bias, &mult, shift),
            _ => Self::of(requant, rounding, |lane| first + lane),
        }
    }

    /// Of outputs `channel(lane)`; what there is not is 0.
    #[inline(always)]
    pub(super) fn of(requant: &PerChannel<i8>, rounding: Rounding, channel: impl Fn(usize) -> usize) -> Self {
        let [bias, mult] =
            [requant.bias, requant.mult].map(|x| from_fn(|lane| x.get(channel(lane)).copied().unwrap_or(0)));
        let shift = from_fn(|lane| requant.shift.get(channel(lane)).copied().unwrap_or(0));
        Self::new(rounding, &bias, &mult, &shift)
    }

    #[inline(always)]
    fn new(rounding: Rounding, bias: &[i32; LANES], mult: &[i32; LANES], shift: &[u8; LANES]) -> Self {
        let least = match rounding {
            Rounding::Once => 32,
            Rounding::TfLite => TFLITE_FLAG | MIN_TFLITE_SHIFT,
        };
        // In range for outputs that there are: see `rounding`.
        let shift = shift.map(|s| s.saturating_sub(least).min(30).cast_signed());
        // SAFETY: sixteen bytes.
        let shift = S::widen(unsafe { S::part(shift.as_ptr(), LANES) });
        Self { bias: S::words(bias), mult: S::words(mult), shift, half: S::down(S::power(shift), 1) }
    }
}

/// Where results land.
pub(super) struct Landing<S: Set> {
    rounding: Rounding,
    ends: S::Ends,
}

impl<S: Set> Landing<S> {
    #[inline(always)]
    pub(super) fn new(requant: &PerChannel<i8>, rounding: Rounding) -> Self {
        Self { rounding, ends: S::ends(&requant.output) }
    }

    /// Sixteen results.
    #[inline(always)]
    pub(super) fn finish(&self, f: &Factors<S>, acc: S::Words) -> __m128i {
        let y = match self.rounding {
            Rounding::Once => S::down_each(S::add(S::multiply_high(acc, f.mult), f.half), f.shift),
            Rounding::TfLite => {
                let q = S::doubled_high(acc, f.mult);
                let q = S::add(q, S::down(q, 31));
                S::down(S::add(S::down_each(q, f.shift), S::splat(1)), 1)
            }
        };
        S::land(y, &self.ends)
    }
}
