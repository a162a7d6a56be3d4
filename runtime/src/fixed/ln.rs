//! The natural logarithm.

/// Fraction bits of the result of [`ln`].
pub const LN_FRACTION_BITS: u32 = 26;

/// ln(2) in Q0.30.
const LN_2: i64 = 744_261_118;

/// `ln(x / 2^31)`: of the argument in Q.31, such as a sum of results of [`super::exp_neg`]; 0 acts as the smallest positive
/// argument.
///
/// * result: Q5.26
/// * error: at most 2 units of 2^-26
/// * method: `x = 2^n · m` with `1 ≤ m < 2`; the bits of log2(m) one by one, by squaring; times ln 2, the product cut off
pub const fn ln(x: u64) -> i32 {
    let x = if x == 0 { 1 } else { x };
    let zeros = x.leading_zeros();
    // Q1.31: below 2^32.
    let mut m = (x << zeros) >> 32;
    let mut log2 = 63 - zeros as i64 - 31;
    let mut bits = 0;
    while bits < 28 {
        let square = (m * m) >> 31;
        let doubled = square >> 32;
        m = square >> doubled;
        log2 = (log2 << 1) | doubled as i64;
        bits += 1;
    }
    // 32 · 2^28 · 2^29.5 < 2^63
    ((log2 * LN_2) >> (30 + 28 - LN_FRACTION_BITS)) as i32
}

#[cfg(test)]
#[allow(clippy::float_arithmetic)]
mod tests {
    use super::*;

    #[test]
    fn error_is_within_its_bound() {
        let mut worst = 0.0_f64;
        for i in 1..1_000_000_u64 {
            let x = i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (i % 64);
            let x = x.max(1);
            let exact = (x as f64 / f64::from(1_u32 << 31)).ln() * f64::from(1_u32 << LN_FRACTION_BITS);
            worst = worst.max((f64::from(ln(x)) - exact).abs());
        }
        assert!(worst <= 2.0, "{worst}");
        assert_eq!((ln(1 << 31), ln(0)), (0, ln(1)));
    }
}
