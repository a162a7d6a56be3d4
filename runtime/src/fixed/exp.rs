//! The exponential of a non-positive number.

/// Fraction bits of the argument of [`exp_neg`]: Q6.26.
pub const EXP_INPUT_FRACTION_BITS: u32 = 26;
/// Fraction bits of the result of [`exp_neg`]: Q0.31, with 1.0 given as `i32::MAX`.
pub const EXP_FRACTION_BITS: u32 = 31;

/// log2(e) in Q1.29: `round(1.4426950408889634 · 2^29)`.
const LOG2_E: u64 = 774_541_002;

/// Coefficients of `2^−f = Σ (−1)^k POWERS[k] f^k` on `[0, 1)` in Q1.31: `(ln 2)^k / k!` for k = 0 … 10, after which the
/// remainder of the alternating series is below 1 unit.
const POWERS: [u64; 11] =
    [2_147_483_648, 1_488_522_236, 515_882_496, 119_194_166, 20_654_775, 2_863_360, 330_788, 32_755, 2_838, 219, 15];

/// `exp(−x)` for `x ≥ 0`.
///
/// * `x`: Q6.26 in an unsigned 32-bit number, so `x < 64`
/// * result: Q0.31, in `[0, 2^31 − 1]`; 1.0 saturates to `2^31 − 1`
/// * error: at most 4 units of 2^-31
/// * method: `exp(−x) = 2^−n · 2^−f` with `x·log2(e) = n + f`; 2^−f by its Taylor series to the 10th power in Horner
///   form, products truncated to Q31, the shift by n rounded half up
pub fn exp_neg(x: u32) -> i32 {
    // Q6.26 · Q1.29 = Q7.55; the integer part is below 93.
    let scaled = u64::from(x) * LOG2_E;
    let n = scaled >> 55;
    // Q0.31
    let f = (scaled >> 24) & 0x7FFF_FFFF;
    if n > 31 {
        return 0;
    }
    // c0 − f(c1 − f(c2 − …)): no bracket is negative, because each coefficient exceeds the one after it.
    let p = POWERS.iter().rev().fold(0, |p, c| c - ((p * f) >> 31));
    let rounded = if n == 0 { p } else { (p + (1 << (n - 1))) >> n };
    rounded.min(i32::MAX as u64) as i32
}

/// `exp_neg(⌊x · multiplier / 2^shift⌋)`, the argument saturated to u32; a shift of more than 63 acts as 63.
///
/// The argument is cut off, not rounded: its error is below one unit of 2^-26.
#[inline(always)]
pub fn exp_neg_scaled(x: u32, multiplier: u32, shift: u8) -> i32 {
    let argument = (u64::from(x) * u64::from(multiplier)) >> shift.min(63);
    exp_neg(u32::try_from(argument).unwrap_or(u32::MAX))
}

#[cfg(test)]
#[allow(clippy::float_arithmetic)]
mod tests {
    use super::*;

    #[test]
    fn error_is_within_its_bound() {
        let mut worst = 0.0_f64;
        for i in 0..1_000_000_u32 {
            let x = i.wrapping_mul(2_654_435_761) >> (i % 8);
            let exact =
                (-f64::from(x) / f64::from(1 << EXP_INPUT_FRACTION_BITS)).exp() * (1_u64 << EXP_FRACTION_BITS) as f64;
            worst = worst.max((f64::from(exp_neg(x)) - exact).abs());
        }
        assert!(worst <= 4.0, "{worst}");
    }

    #[test]
    fn ends_of_the_range() {
        assert_eq!(exp_neg(0), i32::MAX);
        assert_eq!(exp_neg(u32::MAX), 0);
    }

    #[test]
    fn falls_monotonically() {
        let mut last = i32::MAX;
        for i in 0..200_000_u32 {
            let y = exp_neg(i * 9_973);
            assert!(y <= last);
            last = y;
        }
    }
}
