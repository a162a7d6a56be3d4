//! Normalisation by mean and variance, or by the mean of squares.

pub mod portable;
pub mod reference;
#[cfg(test)]
mod tests;

use super::{Element, Output};
use crate::fixed::{Inverse, inverse_root, rounding_shift_right_i64};

/// Fraction bits of differences from the mean.
pub const DIFFERENCE_BITS: u32 = 13;
/// Fraction bits of normalised values.
pub const NORMAL_BITS: u32 = 19;
/// Fraction bits of the biases.
pub const BIAS_BITS: u8 = 12;
/// Largest number of elements of which a mean is taken: a normalised value is at most its root, 2^11, so that it fits in
/// i32 with [`NORMAL_BITS`].
pub const MAX_COUNT: usize = 1 << 22;

/// Parameters of [`reference::normalize`].
#[derive(Debug, Clone, Copy)]
pub struct Normalize<'a, E> {
    /// Shape of input and output, at most 8 axes.
    pub shape: &'a [u32],
    /// Bit i is set if mean and variance are over axis i.
    pub axes: u32,
    /// Whether the mean is subtracted.
    pub centered: bool,
    /// `n²·ε / s_x²` for n elements a mean.
    pub epsilon: u64,
    /// The input's zero point.
    pub in_zero_point: i32,
    /// Factors: `γ / s_y · 2^(shift − 19)`; entry `i % len` is that of element i.
    pub scale: &'a [i32],
    /// As many terms: `β / s_y · 2^12`.
    pub bias: &'a [i32],
    /// Binary exponent of the result, in `[12, 62]`.
    pub shift: u8,
    /// The output.
    pub output: Output<E>,
}

/// What elements that share mean and variance have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moments {
    /// The mean of `x − z_x`, in units of 2^-13.
    mean: i32,
    /// `1 / √(variance + ε)` of the input's steps.
    inverse: Inverse,
}

impl<E: Element> Normalize<'_, E> {
    /// Whether mean and variance are over `axis`.
    pub fn reduces(&self, axis: usize) -> bool {
        axis < 32 && self.axes >> axis & 1 == 1
    }

    /// Number of means.
    pub fn groups(&self) -> Option<usize> {
        let kept = self.shape.iter().enumerate().filter(|&(axis, _)| !self.reduces(axis));
        kept.map(|(_, &d)| usize::try_from(d).ok()).try_fold(1_usize, |len, d| len.checked_mul(d?))
    }

    /// Mean and inverse deviation of `count` elements whose differences from the zero point have these sums:
    /// `1/√(v + ε) = n/√(n·Σd² − (Σd)² + n²ε)`.
    #[inline(always)]
    pub fn moments(&self, count: u32, sum: i64, squares: u64) -> Moments {
        let sum = if self.centered { sum } else { 0 };
        // n·Σd² ≤ 2^22 · 2^54 and (Σd)² is not more.
        let square = u128::from(sum.unsigned_abs()) * u128::from(sum.unsigned_abs());
        let scaled = (u128::from(count) * u128::from(squares)).saturating_sub(square);
        let mean = match i64::from(count) {
            0 => 0,
            // Half up: floor((2·a + n) / 2n).
            n => ((sum << (DIFFERENCE_BITS + 1)) + n).div_euclid(2 * n) as i32,
        };
        Moments { mean, inverse: inverse_root(scaled.saturating_add(self.epsilon.into()), count) }
    }

    /// The result of an element `d` above the zero point.
    #[inline(always)]
    pub fn finish(&self, m: Moments, d: i32, scale: i32, bias: i32) -> E {
        // |difference| ≤ 2^17 · 2^13, the inverse is at most 2^31: the product stays below 2^62.
        let difference = i64::from((d << DIFFERENCE_BITS).wrapping_sub(m.mean));
        let cut = (m.inverse.shift + DIFFERENCE_BITS).saturating_sub(NORMAL_BITS).min(62);
        let normal = rounding_shift_right_i64(difference.wrapping_mul(m.inverse.mult.into()), cut as u8);
        let term = i64::from(bias) << self.shift.saturating_sub(BIAS_BITS).min(62);
        let scaled = i64::from(normal).wrapping_mul(scale.into());
        self.output.finish(rounding_shift_right_i64(scaled.wrapping_add(term), self.shift))
    }
}
