//! Powers of two with a fractional exponent, in 32 bits: the exponential of attention.

/// Fraction bits of the argument of [`exp2_neg`]: Q16.16.
pub const EXP2_INPUT_FRACTION_BITS: u32 = 16;

/// `round(2^16 · 2^(−i/64))` for i = 0 … 64: the table of [`exp2_neg`].
pub(crate) static POWERS: [u32; 65] = [
    65536, 64830, 64132, 63441, 62757, 62081, 61413, 60751, 60097, 59449, 58809, 58176, 57549, 56929, 56316, 55709,
    55109, 54515, 53928, 53347, 52773, 52204, 51642, 51085, 50535, 49991, 49452, 48920, 48393, 47871, 47356, 46846,
    46341, 45842, 45348, 44859, 44376, 43898, 43425, 42958, 42495, 42037, 41584, 41136, 40693, 40255, 39821, 39392,
    38968, 38548, 38133, 37722, 37316, 36914, 36516, 36123, 35734, 35349, 34968, 34591, 34219, 33850, 33486, 33125,
    32768,
];

/// `2^(−x)` for `x ≥ 0`.
///
/// * `x`: Q16.16
/// * result: Q15, in `[0, 2^15]`
/// * error: at most 2 units of 2^-15
/// * method: a table of 64 steps an octave, linear between them (truncated), shifted by the octave and rounded half up
#[inline(always)]
pub fn exp2_neg(x: u32) -> u32 {
    let octave = x >> 16;
    if octave > 16 {
        return 0;
    }
    // Both indices are at most 64.
    let step = (x >> 10) as usize & 63;
    let (Some(&high), Some(&low)) = (POWERS.get(step), POWERS.get(step + 1)) else { return 0 };
    let power = high - (((high - low) * (x & 1023)) >> 10);
    (power + (1 << octave)) >> (octave + 1)
}

#[cfg(test)]
#[allow(clippy::float_arithmetic)]
mod tests {
    use super::*;

    #[test]
    fn error_is_within_its_bound() {
        let mut worst = 0.0_f64;
        for x in 0..(18 << 16) {
            let exact = (-f64::from(x) / 65_536.0).exp2() * 32_768.0;
            worst = worst.max((f64::from(exp2_neg(x)) - exact).abs());
        }
        assert!(worst <= 2.0, "{worst}");
        assert_eq!((exp2_neg(0), exp2_neg(1 << 16), exp2_neg(u32::MAX)), (1 << 15, 1 << 14, 0));
    }

    #[test]
    fn falls_monotonically() {
        assert!((0..18 << 16).all(|x| exp2_neg(x + 1) <= exp2_neg(x)));
    }
}
