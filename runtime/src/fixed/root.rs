//! The inverse of a square root.

/// `mult / 2^shift`, a positive real number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inverse {
    /// Significand, in `[2^30, 2^31]`, or 0.
    pub mult: u32,
    /// Negated binary exponent.
    pub shift: u32,
}

/// `n / √w` for `n < 2^24`; 0 if w is 0.
///
/// * relative error: at most 2^-28
/// * method: w is shifted by an even number of bits to fill 63 or 64 (bits below are cut off), its square root is found
///   bit by bit and cut off, and one division gives the inverse; the product with n is rounded half up to 31 bits
pub fn inverse_root(w: u128, n: u32) -> Inverse {
    if w == 0 || n == 0 {
        return Inverse { mult: 0, shift: 0 };
    }
    // w = a · 2^(64 − up) with a in [2^62, 2^64).
    let up = w.leading_zeros() & !1;
    let a = ((w << up) >> 64) as u64;
    let root = square_root(a); // in [2^31, 2^32)
    let inverse = (1_u64 << 62).checked_div(root.into()).unwrap_or(0); // in (2^30, 2^31]
    // 1/√w = inverse · 2^-62 · 2^(up/2 − 32), so that n/√w = product / 2^(94 − up/2).
    let product = inverse.saturating_mul(n.into()); // below 2^55
    let cut = (u64::BITS - product.leading_zeros()).saturating_sub(31);
    let rounded = if cut == 0 { product } else { (product + (1 << (cut - 1))) >> cut };
    Inverse { mult: rounded as u32, shift: (94 - up / 2).saturating_sub(cut) }
}

/// `⌊√a⌋`, a bit at a time.
fn square_root(a: u64) -> u32 {
    let mut root = 0_u64;
    for bit in (0..32).rev() {
        let tried = root | 1 << bit;
        // tried < 2^32: its square fits.
        if tried * tried <= a {
            root = tried;
        }
    }
    root as u32
}

#[cfg(test)]
#[allow(clippy::float_arithmetic)]
mod tests {
    use super::*;

    #[test]
    fn error_is_within_its_bound() {
        for i in 1..50_000_u64 {
            let w = (u128::from(i.wrapping_mul(0x9E37_79B9_7F4A_7C15)) * u128::from(i | 1)) >> (i % 120);
            let n = (i.wrapping_mul(2_654_435_761) % (1 << 24)) as u32;
            if w == 0 || n == 0 {
                continue;
            }
            let Inverse { mult, shift } = inverse_root(w, n);
            let found = f64::from(mult) * (-f64::from(shift)).exp2();
            let exact = f64::from(n) / (w as f64).sqrt();
            assert!((found / exact - 1.0).abs() <= (-28_f64).exp2(), "{w} {n}: {found} for {exact}");
            assert!((1 << 30..=1_u32 << 31).contains(&mult));
        }
    }

    #[test]
    fn ends_of_the_range() {
        assert_eq!(inverse_root(0, 5), Inverse { mult: 0, shift: 0 });
        let one = inverse_root(1, 1);
        assert_eq!(f64::from(one.mult) * (-f64::from(one.shift)).exp2(), 1.0);
        let small = inverse_root(u128::MAX, 1);
        assert!((f64::from(small.mult) * (64.0 - f64::from(small.shift)).exp2() - 1.0).abs() < 1e-8);
        assert_eq!([0, 1, 3, 4, u64::MAX].map(square_root), [0, 1, 1, 2, u32::MAX]);
    }
}
