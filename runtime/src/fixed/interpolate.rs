//! Linear interpolation between two knots.

/// Fraction bits of a knot: it is in steps of 2^-8.
pub const KNOT_FRACTION_BITS: u8 = 8;

/// `sat32(⌊(from·2^shift + (to − from)·t) / 2^(shift + 8) + ½⌋)`: the value at `t / 2^shift` of the way between two knots
/// with [`KNOT_FRACTION_BITS`] fraction bits, rounded once.
///
/// * `t ∈ [0, 2^shift]`, `shift ∈ [0, 16]`; a larger shift acts as 16
///
/// Nothing overflows: `|from·2^shift| ≤ 2^47` and `|(to − from)·t| ≤ 2^48`; only for a `t` beyond its range may the
/// product wrap.
#[inline(always)]
pub const fn interpolate(from: i32, to: i32, t: u32, shift: u8) -> i32 {
    let shift = if shift > 16 { 16 } else { shift };
    super::rounding_shift_right_i64(between(from, to, t, shift), shift + KNOT_FRACTION_BITS)
}

/// `sat32(⌊(from·2^shift + (to − from)·t) / 2^shift + ½⌋)`: as [`interpolate`], between whole numbers.
///
/// * `t ∈ [0, 2^shift]`, `shift ∈ [0, 16]`; a larger shift acts as 16
#[inline(always)]
pub const fn interpolate_wide(from: i32, to: i32, t: u32, shift: u8) -> i32 {
    let shift = if shift > 16 { 16 } else { shift };
    super::rounding_shift_right_i64(between(from, to, t, shift), shift)
}

/// `from·2^shift + (to − from)·t`
#[inline(always)]
const fn between(from: i32, to: i32, t: u32, shift: u8) -> i64 {
    let (from, to) = (from as i64, to as i64);
    (from << shift).wrapping_add((to - from).wrapping_mul(t as i64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_its_specification(from: i32, to: i32, shift in 0_u8..=16, part: u32) {
            let t = u64::from(part) % ((1 << shift) + 1);
            let (from128, to128) = (i128::from(from), i128::from(to));
            let twice = 2 * ((from128 << shift) + (to128 - from128) * i128::from(t)) + (1_i128 << (shift + 8));
            let exact = twice.div_euclid(1_i128 << (shift + 9));
            prop_assert_eq!(i128::from(interpolate(from, to, t as u32, shift)), exact);
            let exact = (twice + (1_i128 << shift) - (1_i128 << (shift + 8))).div_euclid(1_i128 << (shift + 1));
            prop_assert_eq!(i128::from(interpolate_wide(from, to, t as u32, shift)), exact);
        }

        #[test]
        fn it_never_panics(from: i32, to: i32, t: u32, shift: u8) {
            interpolate(from, to, t, shift);
            interpolate_wide(from, to, t, shift);
        }
    }

    #[test]
    fn ends_and_middle() {
        assert_eq!([0, 1, 2, 3, 4].map(|t| interpolate(-256, 256, t, 2)), [-1, 0, 0, 1, 1]);
        assert_eq!(interpolate(384, 0, 0, 0), 2);
    }
}
