//! Sums of two products, as complex multiplication needs them.

/// `⌊(a·b + c·d) / 2^32 + ½⌋`: both products exact, one rounding half up.
///
/// With `b` and `d` in Q31 that is half of the sum of products. The sum must stay below 2^63 − 2^31, which
/// `|a| + |c| < 2^32 − 1` ensures for any `b` and `d` but `i32::MIN`; beyond, it wraps.
#[inline(always)]
pub const fn dot2_q32(a: i32, b: i32, c: i32, d: i32) -> i32 {
    let sum = (a as i64 * b as i64).wrapping_add(c as i64 * d as i64);
    // The upper bit of the low word is the carry of adding half a unit.
    ((sum >> 32) as i32).wrapping_add((sum as u32 >> 31) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_its_specification(a: i32, b in -i32::MAX..=i32::MAX, c: i32, d in -i32::MAX..=i32::MAX) {
            let exact = i128::from(a) * i128::from(b) + i128::from(c) * i128::from(d);
            prop_assume!(exact.abs() < (1 << 63) - (1 << 31));
            prop_assert_eq!(i128::from(dot2_q32(a, b, c, d)), (exact + (1 << 31)).div_euclid(1 << 32));
        }
    }

    #[test]
    fn halves_round_up() {
        assert_eq!([-3, -1, 1, 3].map(|x| dot2_q32(x, 1 << 30, x, 1 << 30)), [-1, 0, 1, 2]);
    }
}
