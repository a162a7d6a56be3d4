//! High words of products.

/// `⌊a · b / 2^32⌋` by four products of 16 bits, for processors without a long product.
///
/// Source: Warren, "Hacker's Delight", section 8-2.
#[inline(always)]
pub const fn multiply_high_by_halves(a: i32, b: i32) -> i32 {
    let (a_low, a_high) = ((a & 0xFFFF) as u32, a >> 16);
    let (b_low, b_high) = ((b & 0xFFFF) as u32, b >> 16);
    let low = a_low * b_low;
    // |a_high · b_low| < 2^31 and the carry is below 2^16: the sums wrap at no point where the next line minds.
    let middle = a_high.wrapping_mul(b_low as i32).wrapping_add((low >> 16) as i32);
    let other = (a_low as i32).wrapping_mul(b_high).wrapping_add(middle & 0xFFFF);
    a_high.wrapping_mul(b_high).wrapping_add(middle >> 16).wrapping_add(other >> 16)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn high_products_agree(a: i32, b: i32) {
            prop_assert_eq!(i64::from(multiply_high_by_halves(a, b)), (i64::from(a) * i64::from(b)) >> 32);
        }
    }

    #[test]
    fn high_products_agree_at_the_ends() {
        let ends = [i32::MIN, i32::MIN + 1, -65_537, -65_536, -1, 0, 1, 65_535, 65_536, i32::MAX];
        for a in ends {
            for b in ends {
                assert_eq!(i64::from(multiply_high_by_halves(a, b)), (i64::from(a) * i64::from(b)) >> 32, "{a} {b}");
            }
        }
    }
}
