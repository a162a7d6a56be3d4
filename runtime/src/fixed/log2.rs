//! The logarithm to base 2.

/// Fraction bits of the result of [`log2`].
pub const LOG2_FRACTION_BITS: u32 = 16;

/// `log2(x)` of a positive integer; 0 gives what 1 gives, 0.
///
/// * result: Q6.16 in an `i32`, in `[0, 2^22]`
/// * error: at most 0.51 units of 2^-16
/// * method: the exponent by counting leading zeros; each bit of the fraction by squaring the mantissa, truncated to
///   32 bits, and one bit more than is kept, to round half up
pub const fn log2(x: u64) -> i32 {
    (log2_bits(x, LOG2_FRACTION_BITS + 1) as i32 + 1) >> 1
}

/// `log2(x)` with `bits ≤ 28` bits of fraction, rounded down; for constants that need more than [`log2`] gives.
pub(crate) const fn log2_bits(x: u64, bits: u32) -> u64 {
    let x = if x == 0 { 1 } else { x };
    let exponent = 63 - x.leading_zeros();
    // Q1.31 in [1, 2)
    let mut mantissa = ((x << (63 - exponent)) >> 32) as u32;
    let mut result = exponent as u64; // below 2^6, so that with 28 bits more it fits in 34
    let mut bit = 0;
    while bit < bits {
        // Q2.62 in [1, 4)
        let square = mantissa as u64 * mantissa as u64;
        let high = (square >> 32) as u32;
        let carry = high >> 31;
        mantissa = if carry == 1 { high } else { high << 1 | square as u32 >> 31 };
        result = result << 1 | carry as u64;
        bit += 1;
    }
    result
}

#[cfg(test)]
#[allow(clippy::float_arithmetic)]
mod tests {
    use super::*;

    #[test]
    fn error_is_within_its_bound() {
        let mut worst = 0.0_f64;
        for i in 1..400_000_u64 {
            let x = (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (i % 64)).max(1);
            worst = worst.max((f64::from(log2(x)) - (x as f64).log2() * 65_536.0).abs());
        }
        assert!(worst <= 0.51, "{worst}");
    }

    #[test]
    fn powers_of_two_are_exact_and_the_ends_hold() {
        for n in 0..64 {
            assert_eq!(log2(1 << n), n << LOG2_FRACTION_BITS);
        }
        assert_eq!((log2(0), log2(u64::MAX)), (0, 64 << LOG2_FRACTION_BITS));
    }
}
