//! Real factors whose binary exponent is only known at run time: the arithmetic of rows with a scale of their own.

use core::num::{NonZeroU32, NonZeroU64};

use super::requantize::{MAX_SHIFT, Multiplier, requantize};

/// The real factor `mult / 2^shift`, `mult ∈ [1, 2^31)`; unlike [`Multiplier`], any shift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Factor {
    /// Significand, above 0.
    pub mult: i32,
    /// Negated binary exponent.
    pub shift: i32,
}

/// `sat32(⌊x · mult / 2^shift + ½⌋)`: the exact product, one rounding half up, then saturation to i32.
#[inline(always)]
pub fn requantize_scaled(x: i32, factor: Factor) -> i32 {
    let Factor { mult, shift } = factor;
    if shift >= 1 {
        if shift > i32::from(MAX_SHIFT) {
            // |product| < 2^62, not half of 2^63.
            return 0;
        }
        let shift = shift as u32;
        // |product| ≤ 2^62 and the rounding term is at most 2^61.
        let rounded = (i64::from(x) * i64::from(mult) + (1_i64 << (shift - 1))) >> shift;
        return sat32(rounded);
    }
    let up = shift.saturating_neg().min(63) as u32;
    let product = i64::from(x) * i64::from(mult);
    match product.checked_mul(1_i64.checked_shl(up).filter(|&p| p > 0).unwrap_or(i64::MAX)) {
        Some(value) => sat32(value),
        None if product < 0 => i32::MIN,
        None => i32::MAX,
    }
}

/// [`requantize_scaled`] of many numbers by factors of one exponent.
#[derive(Debug, Clone, Copy)]
pub struct CommonShift {
    shift: i32,
    /// By what numbers are shifted up first, for the high word of a product to be enough.
    up: u32,
    /// `shift + up − 32`: in `[1, 30]`; or 0, if that cannot be.
    high: u32,
}

impl CommonShift {
    /// Of factors with this negated exponent, for numbers within `±largest`.
    #[inline(always)]
    pub const fn of(shift: i32, largest: u32) -> Self {
        let up = if shift < 33 { 33_i32.saturating_sub(shift) } else { 0 };
        let fits = up < 32 && shift <= MAX_SHIFT as i32 && ((largest as u64) << (up & 31)) <= 1 << 31;
        match fits {
            true => Self { shift, up: up as u32, high: (shift + up - 32) as u32 },
            false => Self { shift, up: 0, high: 0 },
        }
    }

    /// By what numbers are shifted up before the product, and high words down after it, where high words are enough.
    #[inline(always)]
    pub fn high_word(self) -> Option<(u32, u32)> {
        (self.high > 0).then_some((self.up, self.high))
    }

    /// `requantize_scaled(x, mult / 2^shift)`, `mult ∈ [1, 2^31)`.
    #[inline(always)]
    pub fn requantize(self, x: i32, mult: i32) -> i32 {
        match self.high() {
            Some(high) => high.requantize(x, mult),
            None => far(x, Factor { mult, shift: self.shift }),
        }
    }

    /// How high words of products are enough, if they are: asked once for many numbers.
    #[inline(always)]
    pub const fn high(self) -> Option<HighShift> {
        if self.high == 0 {
            return None;
        }
        let half = 1_i32.wrapping_shl(self.high.wrapping_sub(1));
        Some(HighShift { up: self.up, half, high: self.high })
    }
}

/// [`CommonShift::requantize`] by high words of products.
#[derive(Debug, Clone, Copy)]
pub struct HighShift {
    up: u32,
    half: i32,
    high: u32,
}

impl HighShift {
    /// With the high word h of the product it is `⌊(h + 2^(s−1)) / 2^s⌋`, `s = shift − 32`: what is below h cannot reach
    /// the rounding bit. `|h| ≤ 2^30`, so that nothing overflows.
    #[inline(always)]
    pub fn requantize(self, x: i32, mult: i32) -> i32 {
        crate::arch::multiply_high(x.wrapping_shl(self.up), mult).wrapping_add(self.half).wrapping_shr(self.high)
    }
}

/// [`requantize_scaled`] where it is rare.
#[cold]
#[inline(never)]
fn far(x: i32, factor: Factor) -> i32 {
    requantize_scaled(x, factor)
}

/// Saturation to int32.
#[inline(always)]
pub const fn sat32(x: i64) -> i32 {
    let low = x as i32;
    // What does not fit has the sign of the whole.
    if low as i64 == x { low } else { (x >> 63) as i32 ^ i32::MAX }
}

/// `sat32(⌊x / 2^shift + ½⌋)`; a negative shift multiplies; a shift above 62 acts as 62.
#[inline(always)]
pub fn rounding_shift_64(x: i64, shift: i32) -> i32 {
    if shift <= 0 {
        let up = shift.saturating_neg().min(31) as u32;
        return sat32(i64::from(sat32(x)) << up);
    }
    let shift = shift.min(62) as u32;
    sat32(x.saturating_add(1_i64 << (shift - 1)) >> shift)
}

/// The scale of a row: the real value of one step of its integers is `mant / 2^shift`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowScale {
    /// In `[8, 15]`: four significant bits, so that at most an eighth of the range of the integers is given away.
    pub mant: i32,
    /// Negated binary exponent.
    pub shift: i32,
}

/// `⌊(2^34 − 1) / mant⌋` for mant = 8 … 15.
const RECIPROCALS: [u32; 8] = [
    2_147_483_647,
    1_908_874_353,
    1_717_986_918,
    1_561_806_289,
    1_431_655_765,
    1_321_528_398,
    1_227_133_513,
    1_145_324_612,
];

impl RowScale {
    /// The scale of a row of zeros.
    pub const ZERO: Self = Self { mant: 8, shift: 0 };

    /// The smallest scale at which integers of `bits ∈ [2, 16]` bits hold `±max · unit`, but that the largest may
    /// round to `2^(bits − 1)` and saturate by one; `unit.mult ≥ 2^30`.
    #[inline(always)]
    pub fn holding(max: u32, unit: Factor, bits: u32) -> Self {
        if max == 0 {
            return Self::ZERO;
        }
        let product = u64::from(max) * u64::from(unit.mult.unsigned_abs());
        // The product is at least 2^30.
        let top = 63 - product.max(8).leading_zeros();
        let mant = (product >> (top - 3)) as i32 + 1;
        let shift = unit.shift - (top as i32 - 2 - bits as i32);
        if mant > 15 { Self { mant: 8, shift: shift - 1 } } else { Self { mant, shift } }
    }

    /// The factor that turns numbers in `unit` (`mult ≥ 2^30`) into integers of this scale: to be applied with
    /// [`requantize_scaled`]; it is at most the exact one, by less than 2^-28 of it.
    #[inline(always)]
    pub fn quantizer(self, unit: Factor) -> Factor {
        let reciprocal = RECIPROCALS.get((self.mant & 7) as usize).copied().unwrap_or(RECIPROCALS[0]);
        let mult = (u64::from(unit.mult.unsigned_abs()) * u64::from(reciprocal)) >> 31;
        Factor { mult: mult as i32, shift: 3 + unit.shift - self.shift }
    }

    /// The factor by which integers of this scale, times `mult / 2^shift`, are real: `mult < 2^27`.
    #[inline(always)]
    pub fn times(self, mult: i32, shift: u8) -> Factor {
        Factor { mult: mult.wrapping_mul(self.mant), shift: self.shift + i32::from(shift) }
    }
}

/// `1 / √x` for `x ≥ 1`: `mult ∈ [2^30, 2^31)`, relative error at most 2^-29; for 0, that of 1.
///
/// Method: x is normalised to `[2^60, 2^62)`, its integer root has 31 bits, and `⌊(2^61 − 1) / root⌋` has as many.
pub fn inverse_sqrt(x: u64) -> Factor {
    let x = x.max(1);
    let up = (x.leading_zeros() & !1).saturating_sub(2);
    let down = if x.leading_zeros() < 2 { 2_i32 } else { 0 };
    let root = ((x >> down) << up).isqrt();
    // root ∈ [2^30, 2^31), so that the quotient is in (2^30, 2^31).
    let mult = ((1_u64 << 61) - 1).checked_div(root).unwrap_or(0);
    // √x = root · 2^((down − up)/2), 1/root = mult · 2^-61.
    Factor { mult: mult.min(i32::MAX as u64) as i32, shift: 61 + (down - up as i32) / 2 }
}

/// The product of two factors whose significands are at least 2^30: as such a factor, relative error below 2^-29.
#[inline(always)]
pub fn times(a: Factor, b: Factor) -> Factor {
    let product = i64::from(a.mult) * i64::from(b.mult);
    // product ∈ [2^60, 2^62)
    let shift = if product >= 1 << 61 { 31 } else { 30 };
    Factor { mult: sat32(product >> shift), shift: a.shift + b.shift - shift }
}

/// A [`Multiplier`] as a factor.
impl From<Multiplier> for Factor {
    fn from(m: Multiplier) -> Self {
        Self { mult: m.mult, shift: m.shift.into() }
    }
}

/// `1 / divisor` for a divisor of `[1, 2^32)`, cut off to 31 bits: `acc / divisor` is [`requantize_scaled`] by it within
/// 1 unit and 2^-29 of the value.
#[inline(always)]
pub fn reciprocal(divisor: u32) -> Factor {
    let divisor = NonZeroU32::new(divisor).unwrap_or(NonZeroU32::MIN);
    let bits = 31 - divisor.leading_zeros();
    // 2^(31 + bits) / divisor ∈ (2^30, 2^31], by long division in 32 bits: the remainder is below the divisor, which leaves
    // room for `31 − bits` more bits at a time.
    let (mut quotient, mut rest) = ((1_u32 << 31) / divisor, (1_u32 << 31) % divisor);
    let mut left = bits;
    if bits < 24 {
        while left > 0 {
            let step = left.min(31 - bits);
            rest <<= step;
            quotient = (quotient << step) + rest / divisor;
            rest %= divisor;
            left -= step;
        }
    } else {
        quotient = ((1_u64 << (31 + bits)) / NonZeroU64::from(divisor)) as u32;
    }
    Factor { mult: quotient.min(i32::MAX as u32) as i32, shift: 31 + bits as i32 }
}

/// `acc · 2^up / divisor`: see [`reciprocal`].
#[inline(always)]
pub fn divide_scaled(acc: i32, divisor: u32, up: i32) -> i32 {
    let Factor { mult, shift } = reciprocal(divisor);
    requantize_scaled(acc, Factor { mult, shift: shift - up })
}

/// `⌊x · part / 2^15 + ½⌋` for a part of `[0, 2^15]`: it stays within ±|x|.
#[inline(always)]
pub const fn fraction(x: i32, part: i32) -> i32 {
    ((x as i64 * part as i64 + (1 << 14)) >> 15) as i32
}

/// See [`requantize`]: the same rule, for a shift in range.
const _: fn(i32, Multiplier) -> i32 = requantize;

#[cfg(test)]
#[allow(clippy::float_arithmetic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn real(f: Factor) -> f64 {
        f64::from(f.mult) * f64::from(-f.shift).exp2()
    }

    proptest! {
        #[test]
        fn requantize_scaled_is_its_specification(x: i32, mult in 1_i32..=i32::MAX, shift in -40_i32..=90) {
            let exact = i128::from(x) * i128::from(mult);
            let expected = match shift {
                1.. => (2 * exact + (1 << shift)).div_euclid(1 << (shift + 1)),
                _ => exact << -shift,
            };
            let expected = expected.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
            prop_assert_eq!(requantize_scaled(x, Factor { mult, shift }), expected);
            prop_assert_eq!(CommonShift::of(shift, x.unsigned_abs()).requantize(x, mult), expected);
        }

        #[test]
        fn nothing_panics(x: i32, wide: i64, mult in 1_i32.., shift in -1_000_000_i32..1_000_000, divisor: u32, any: u64) {
            requantize_scaled(x, Factor { mult, shift });
            rounding_shift_64(wide, shift);
            divide_scaled(x, divisor, shift % 64);
            CommonShift::of(shift, any as u32).requantize(x, mult);
            inverse_sqrt(any);
        }

        #[test]
        fn a_row_scale_holds_the_largest_and_wastes_at_most_an_eighth(
            max in 1_u32..=1 << 31, mult in (1_i32 << 30)..=i32::MAX, shift in -20_i32..60, bits in 2_u32..=16,
        ) {
            let unit = Factor { mult, shift };
            let scale = RowScale::holding(max, unit, bits);
            prop_assert!((8..=15).contains(&scale.mant));
            let step = f64::from(scale.mant) * f64::from(-scale.shift).exp2();
            let steps = f64::from(max) * real(unit) / step;
            let full = f64::from(1 << (bits - 1));
            prop_assert!(steps <= full && steps >= full * 0.88, "{steps} of {full}");
            let q = scale.quantizer(unit);
            let exact = real(unit) / step;
            prop_assert!(real(q) <= exact && real(q) >= exact * (1.0 - 3.7e-9));
        }

        #[test]
        fn a_fraction_is_its_specification(x: i32, part in 0_i32..=1 << 15) {
            prop_assert_eq!(fraction(x, part), rounding_shift_64(i64::from(x) * i64::from(part), 15));
        }

        #[test]
        fn inverse_square_roots(x in 1_u64..) {
            let found = inverse_sqrt(x);
            prop_assert!(found.mult >= 1 << 30);
            let error = real(found) * (x as f64).sqrt() - 1.0;
            prop_assert!(error.abs() < 2e-9, "{error}");
        }
    }
}
