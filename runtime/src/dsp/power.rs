//! The power of each bin of a spectrum.

use super::rfft::Complex;

/// `re² + im²`, exact, of the bins 0 to `HALF` of a spectrum as [`super::Rfft::run`] leaves it: `HALF + 1` numbers.
///
/// A spectrum within the contract of the FFT has components of at most 2^30, so that their sum of squares fits.
pub fn powers<const HALF: usize>(spectrum: &[Complex; HALF]) -> impl Iterator<Item = u64> + Clone {
    let [zero, nyquist] = spectrum.first().copied().unwrap_or_default();
    let middle = spectrum.iter().skip(1).copied();
    core::iter::once([zero, 0]).chain(middle).chain(core::iter::once([nyquist, 0])).map(power)
}

/// `re² + im²`; beyond the contract it may wrap.
#[inline(always)]
pub(crate) fn power([re, im]: Complex) -> u64 {
    // Squares are not negative, and at most 2^62.
    let square = |x: i32| (i64::from(x) * i64::from(x)).cast_unsigned();
    square(re).wrapping_add(square(im))
}
