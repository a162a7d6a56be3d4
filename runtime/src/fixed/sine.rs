//! The sine, for tables that are computed at compile time.

/// π/2 in Q60: `round(π/2 · 2^60)`.
const HALF_PI: i128 = 1_811_004_864_519_280_711;
const FRACTION_BITS: u32 = 60;

/// `sin(2π · phase / 2^32)`.
///
/// * `phase`: turns in Q0.32
/// * result: Q0.31; 1.0 saturates to `2^31 − 1`, so that the negated result is always representable
/// * error: at most 1 unit of 2^-31
/// * method: reduction to a quarter of a turn, then the Taylor series to the 23rd power in Q60
///
/// It works in 128 bits: call it in constants.
pub const fn sin_turns(phase: u32) -> i32 {
    let quarter = phase >> 30;
    let rest = (phase & 0x3FFF_FFFF) as i128;
    let rest = if quarter & 1 == 1 { (1 << 30) - rest } else { rest };
    let x = (rest * HALF_PI) >> 30;
    let square = (x * x) >> FRACTION_BITS;
    let mut term = x;
    let mut sum = x;
    let mut n = 2;
    while n <= 22 {
        // x^(n+1)/(n+1)! from x^(n−1)/(n−1)!; |term| < 2 in Q60, so that the product stays below 2^122.
        term = -((term * square) >> FRACTION_BITS) / (n * (n + 1));
        sum += term;
        n += 2;
    }
    let rounded = (sum + (1 << 28)) >> 29;
    let limited = if rounded > i32::MAX as i128 { i32::MAX } else { rounded as i32 };
    if quarter >= 2 { -limited } else { limited }
}

/// `cos(2π · phase / 2^32)`: [`sin_turns`] a quarter of a turn later.
pub const fn cos_turns(phase: u32) -> i32 {
    sin_turns(phase.wrapping_add(1 << 30))
}

#[cfg(test)]
#[allow(clippy::float_arithmetic)]
mod tests {
    use super::*;

    #[test]
    fn error_is_within_its_bound() {
        for i in 0..100_000_u32 {
            let phase = i.wrapping_mul(2_654_435_761);
            let exact = (f64::from(phase) / 2_f64.powi(32) * core::f64::consts::TAU).sin() * 2_f64.powi(31);
            assert!((f64::from(sin_turns(phase)) - exact).abs() <= 1.0, "{phase}");
        }
    }

    #[test]
    fn quarters_are_exact() {
        assert_eq!([0, 1 << 30, 1 << 31, 3 << 30].map(sin_turns), [0, i32::MAX, 0, -i32::MAX]);
        assert_eq!([0, 1 << 30, 1 << 31, 3 << 30].map(cos_turns), [i32::MAX, 0, -i32::MAX, 0]);
    }
}
