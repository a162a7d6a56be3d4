//! Quotients, and the angle whose tangent is one.

/// `⌊numerator / denominator + ½⌋` of signed numbers below 2^61 in absolute value.
///
/// A denominator of 0 gives the largest or smallest i64, by the sign of the numerator, and 0 for 0/0.
#[inline(always)]
pub const fn rounding_divide_i64(numerator: i64, denominator: i64) -> i64 {
    let (n, d) = if denominator < 0 {
        (numerator.saturating_neg(), denominator.saturating_neg())
    } else {
        (numerator, denominator)
    };
    // ⌊n/d + ½⌋ = ⌊(2n + d) / 2d⌋
    match n.saturating_mul(2).saturating_add(d).checked_div_euclid(d.saturating_mul(2)) {
        Some(quotient) => quotient,
        None if n > 0 => i64::MAX,
        None if n < 0 => i64::MIN,
        None => 0,
    }
}

/// Fraction bits of the result of [`atan2`]: Q2.29.
pub const ANGLE_FRACTION_BITS: u32 = 29;

/// π in Q2.29.
const PI: i64 = 1_686_629_713;

/// `atan(2^−i)` in Q2.29 for i = 0 … 29.
const ANGLES: [i64; 30] = [
    421_657_428,
    248_918_915,
    131_521_918,
    66_762_579,
    33_510_843,
    16_771_758,
    8_387_925,
    4_194_219,
    2_097_141,
    1_048_575,
    524_288,
    262_144,
    131_072,
    65_536,
    32_768,
    16_384,
    8_192,
    4_096,
    2_048,
    1_024,
    512,
    256,
    128,
    64,
    32,
    16,
    8,
    4,
    2,
    1,
];

/// The angle of the point `(x, y)`, in radians, as C's `atan2`: in `(−π, π]`, and 0 for the origin.
///
/// * `x`, `y`: any fixed-point numbers of one format, below 2^62 in absolute value
/// * result: Q2.29
/// * error: at most 16 units of 2^-29
/// * method: CORDIC, vectoring mode, 30 iterations; Volder, "The CORDIC Trigonometric Computing Technique", 1959
pub const fn atan2(y: i64, x: i64) -> i32 {
    let (mut a, mut b) = (x.unsigned_abs(), y.unsigned_abs());
    let larger = if a > b { a } else { b };
    if larger == 0 {
        return 0;
    }
    // Fills 60 bits: CORDIC lengthens the vector by 1.65.
    let free = larger.leading_zeros() as i32 - 4;
    if free >= 0 {
        (a, b) = (a << free, b << free);
    } else {
        (a, b) = (a >> -free, b >> -free);
    }
    let (mut a, mut b, mut angle, mut i) = (a as i64, b as i64, 0_i64, 0_usize);
    while i < ANGLES.len() {
        let (step_a, step_b) = (b >> i, a >> i);
        #[allow(clippy::indexing_slicing, reason = "i < len stands in the loop's condition")]
        let turn = ANGLES[i];
        if b > 0 {
            (a, b, angle) = (a + step_a, b - step_b, angle + turn);
        } else {
            (a, b, angle) = (a - step_a, b + step_b, angle - turn);
        }
        i += 1;
    }
    if angle < 0 {
        angle = 0;
    }
    if x < 0 {
        angle = PI - angle;
    }
    (if y < 0 { -angle } else { angle }) as i32
}

#[cfg(test)]
#[allow(clippy::float_arithmetic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn quotients_are_their_specification(n in -1_i64 << 60..1 << 60, narrower in 0_u32..60, d in -1_i64 << 47..1 << 47) {
            prop_assume!(d != 0);
            let n = n >> narrower;
            let (wide_n, wide_d) = if d < 0 { (-i128::from(n), -i128::from(d)) } else { (n.into(), d.into()) };
            let exact = (2 * wide_n + wide_d).div_euclid(2 * wide_d);
            prop_assert_eq!(i128::from(rounding_divide_i64(n, d)), exact);
        }

        #[test]
        fn nothing_panics(n: i64, d: i64) {
            rounding_divide_i64(n, d);
            atan2(n, d);
        }

        #[test]
        fn angles_are_near(y in -1_i64 << 61..1 << 61, x in -1_i64 << 61..1 << 61, narrow_y in 0_u32..61, narrow_x in 0_u32..61) {
            let (y, x) = (y >> narrow_y, x >> narrow_x);
            let exact = (y as f64).atan2(x as f64) * f64::from(1_u32 << ANGLE_FRACTION_BITS);
            prop_assert!((f64::from(atan2(y, x)) - exact).abs() <= 16.0, "{y} {x}: {} {exact}", atan2(y, x));
        }
    }

    #[test]
    fn corners() {
        assert_eq!(
            [(3, 2), (-3, 2), (3, -2), (-3, -2), (5, 5)].map(|(n, d)| rounding_divide_i64(n, d)),
            [2, -1, -1, 2, 1]
        );
        assert_eq!([1, -1, 0].map(|n| rounding_divide_i64(n, 0)), [i64::MAX, i64::MIN, 0]);
        assert_eq!(atan2(0, 0), 0);
        assert!((i64::from(atan2(0, -5)) - PI).abs() < 16);
        assert!((i64::from(atan2(7, 0)) - PI / 2).abs() < 16);
    }
}
