//! The logistic function and the hyperbolic tangent, as the gates of recurrent layers need them.

use super::exp::exp_neg;
use super::requantize::rounding_divide;

/// Fraction bits of the argument of [`sigmoid`] and [`tanh`].
pub const GATE_INPUT_BITS: u32 = 20;
/// Fraction bits of their results.
pub const GATE_BITS: u32 = 30;

/// 1 in the result of [`exp_neg`].
const ONE: u64 = 1 << 31;

/// `exp(−|x|·2^double)` of a Q12.20 argument, in Q0.31.
fn exp_of(x: i32, double: u32) -> u64 {
    // Q12.20 → Q6.26; from 64 on the exponential is 0.
    let argument = u64::from(x.unsigned_abs()) << (6 + double);
    u64::from(exp_neg(u32::try_from(argument).unwrap_or(u32::MAX)).unsigned_abs())
}

/// `1 / (1 + exp(−x))`.
///
/// * `x`: Q12.20; result: Q2.30, in `[0, 2^30]`
/// * error: at most 4 units of 2^-30
/// * method: [`exp_neg`] and one division rounded half up; `1 − sigmoid(|x|)` for a negative x
pub fn sigmoid(x: i32) -> i32 {
    let positive = rounding_divide(1 << 61, ONE.saturating_add(exp_of(x, 0))).min(1 << GATE_BITS) as i32;
    if x < 0 { (1 << GATE_BITS) - positive } else { positive }
}

/// `tanh(x) = sign(x)·(1 − exp(−2|x|)) / (1 + exp(−2|x|))`.
///
/// * `x`: Q12.20; result: Q2.30, in `[-2^30, 2^30]`
/// * error: at most 6 units of 2^-30
/// * method: [`exp_neg`] and one division rounded half up
pub fn tanh(x: i32) -> i32 {
    let e = exp_of(x, 1);
    let numerator = ONE.saturating_sub(e) << GATE_BITS;
    let size = rounding_divide(numerator, ONE.saturating_add(e)).min(1 << GATE_BITS) as i32;
    if x < 0 { -size } else { size }
}

#[cfg(test)]
#[allow(clippy::float_arithmetic)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_within_their_bounds() {
        let (mut worst_sigmoid, mut worst_tanh) = (0.0_f64, 0.0_f64);
        for i in 0..200_000_u32 {
            let x = (i.wrapping_mul(2_654_435_761) as i32) >> (i % 16);
            let (real, one) = (f64::from(x) / f64::from(1 << GATE_INPUT_BITS), f64::from(1 << GATE_BITS));
            worst_sigmoid = worst_sigmoid.max((f64::from(sigmoid(x)) - one / (1.0 + (-real).exp())).abs());
            worst_tanh = worst_tanh.max((f64::from(tanh(x)) - one * real.tanh()).abs());
        }
        assert!(worst_sigmoid <= 4.0 && worst_tanh <= 6.0, "{worst_sigmoid} {worst_tanh}");
    }

    #[test]
    fn ends_and_symmetry() {
        assert_eq!((sigmoid(0), tanh(0)), (1 << 29, 0));
        assert_eq!([i32::MIN, i32::MAX].map(sigmoid), [0, 1 << 30]);
        assert_eq!([i32::MIN, i32::MAX].map(tanh), [-(1 << 30), 1 << 30]);
        for x in (0..i32::MAX).step_by(99_991) {
            assert_eq!(tanh(-x), -tanh(x));
            assert_eq!(sigmoid(-x), (1 << 30) - sigmoid(x));
        }
    }
}
