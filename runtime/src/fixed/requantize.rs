//! Multiplication by a real factor given as a fixed-point number, rounded once, or twice as TensorFlow Lite does.

use crate::arch::{self, multiply_high};

/// Smallest multiplier that is not zero: multipliers are normalised to 31 significant bits.
pub const MIN_MULTIPLIER: i32 = 1 << 30;
/// Smallest shift of a [`Multiplier`]: factors stay below 2^30.
pub const MIN_SHIFT: u8 = 1;
/// Largest shift of a [`Multiplier`]: `|acc · mult| + 2^(shift − 1)` stays below 2^63.
pub const MAX_SHIFT: u8 = 62;

/// Smallest shift with [`Rounding::TfLite`]: with smaller ones both roundings give the same, and [`Rounding::Once`] it is.
pub const MIN_TFLITE_SHIFT: u8 = 32;
/// The bit of [`Multiplier::shift`] that stands for [`Rounding::TfLite`].
pub const TFLITE_FLAG: u8 = 0x80;

/// How a product with a [`Multiplier`] is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Rounding {
    /// `⌊acc · mult / 2^shift + ½⌋`.
    #[default]
    Once,
    /// As the int8 kernels of TensorFlow Lite: `q = ⌊acc · mult / 2^31 + ½⌋`, then `q / 2^(shift − 31)` to nearest, halves
    /// away from zero. For models that were quantized for those kernels.
    ///
    /// Source: `MultiplyByQuantizedMultiplier` of TensorFlow Lite, which is `SaturatingRoundingDoublingHighMul` and then
    /// `RoundingDivideByPOT` of gemmlowp's `fixedpoint.h`.
    TfLite,
}

/// The real factor `mult / 2^shift`, and how a product with it is rounded.
///
/// * `mult` is 0 or `2^30 ≤ |mult| < 2^31`
/// * `shift ∈ [1, 62]` for [`Rounding::Once`]; for [`Rounding::TfLite`] it is in [32, 62], [`TFLITE_FLAG`] is added, and
///   `mult` is positive
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Multiplier {
    /// Significand.
    pub mult: i32,
    /// Negated binary exponent, and [`TFLITE_FLAG`].
    pub shift: u8,
}

impl Multiplier {
    /// The same factor, rounded as TensorFlow Lite does, where that makes a difference. 0 becomes 2^-32, which gives 0 for
    /// every sum that verification admits.
    pub const fn as_tflite(self) -> Self {
        if self.mult == 0 {
            return Self { mult: MIN_MULTIPLIER, shift: MAX_SHIFT | TFLITE_FLAG };
        }
        let applies = self.mult > 0 && self.shift >= MIN_TFLITE_SHIFT && self.shift <= MAX_SHIFT;
        Self { mult: self.mult, shift: if applies { self.shift | TFLITE_FLAG } else { self.shift } }
    }

    /// How products are rounded.
    pub const fn rounding(self) -> Rounding {
        if self.shift & TFLITE_FLAG == 0 { Rounding::Once } else { Rounding::TfLite }
    }

    /// Whether both fields are in their ranges.
    pub const fn is_valid(self) -> bool {
        if let Rounding::TfLite = self.rounding() {
            let shift = self.shift & !TFLITE_FLAG;
            return self.mult >= MIN_MULTIPLIER && shift >= MIN_TFLITE_SHIFT && shift <= MAX_SHIFT;
        }
        (self.mult == 0 || self.mult.unsigned_abs() >= MIN_MULTIPLIER.unsigned_abs())
            && self.mult != i32::MIN
            && self.shift >= MIN_SHIFT
            && self.shift <= MAX_SHIFT
    }
}

/// `sat32(⌊acc · mult / 2^shift + ½⌋)`: the exact product, one rounding half up, then saturation to i32; with
/// [`Rounding::TfLite`] the two roundings that are described there.
///
/// A shift outside its range acts as the nearest bound.
///
/// From 33 on, which holds for nearly all factors, the high word of the product is enough: with
/// `acc · mult = 2^32·h + l`, `0 ≤ l < 2^32`, and `s = shift − 32 ≥ 1`, all but `l` in `2^32·h + l + 2^(s+31)` is a multiple
/// of 2^32, so that `⌊(2^32·h + l + 2^(s+31)) / 2^(s+32)⌋ = ⌊(h + 2^(s−1)) / 2^s⌋`.
#[inline(always)]
pub const fn requantize(acc: i32, m: Multiplier) -> i32 {
    if m.shift > 32 && m.shift <= MAX_SHIFT {
        let s = m.shift - 32;
        // |h| ≤ 2^30 and the rounding term is at most 2^29.
        return (multiply_high(acc, m.mult) + (1 << (s - 1))) >> s;
    }
    if m.shift >= TFLITE_FLAG | MIN_TFLITE_SHIFT {
        return arch::requantize_tflite(acc, m);
    }
    requantize_any(acc, m)
}

/// [`requantize`] for [`Rounding::TfLite`] alone.
///
/// With the high word h and the two upper bits l of the low word of the product, the first rounding gives
/// `q = ⌊(4h + l + 1) / 2⌋ = 2h + ⌊(l + 1) / 2⌋`. A half of a negative q goes down: `⌊(q − 1)/2^e + ½⌋`.
#[inline(always)]
pub const fn requantize_tflite(acc: i32, m: Multiplier) -> i32 {
    // e − 1, e ∈ [1, 31]
    let shift = m.shift.wrapping_sub(TFLITE_FLAG | MIN_TFLITE_SHIFT);
    let shift = if shift > MAX_SHIFT - MIN_TFLITE_SHIFT { MAX_SHIFT - MIN_TFLITE_SHIFT } else { shift };
    let upper = acc.wrapping_mul(m.mult).cast_unsigned() >> 30;
    // |acc · mult| ≤ 2^31 · (2^31 − 1), so that |q| ≤ 2^31 − 1; only for the invalid i32::MIN · i32::MIN does it wrap.
    let q = (multiply_high(acc, m.mult) << 1).wrapping_add((upper + 1).cast_signed() >> 1);
    // ⌊(q + 2^(e−1)) / 2^e⌋ = ⌊(⌊q / 2^(e−1)⌋ + 1) / 2⌋
    (q.wrapping_add(q >> 31) >> shift).wrapping_add(1) >> 1
}

/// `n / d` to nearest, halves away from zero; a divisor of 0 gives 0.
///
/// * `|n| ≤ 2^31 − 1 − d/2`: beyond, it saturates
#[inline(always)]
pub const fn rounding_divide_away(n: i32, d: u32) -> i32 {
    let size = n.unsigned_abs().saturating_add(d / 2);
    let quotient = match size.checked_div(d) {
        Some(quotient) => quotient.cast_signed(),
        None => 0,
    };
    if n < 0 { quotient.wrapping_neg() } else { quotient }
}

/// [`requantize`] in 64 bits. Out of line: it is rare, and long on 32-bit processors.
#[inline(never)]
const fn requantize_any(acc: i32, m: Multiplier) -> i32 {
    let shift = m.shift & !TFLITE_FLAG;
    let shift = if shift < MIN_SHIFT {
        MIN_SHIFT
    } else if shift > MAX_SHIFT {
        MAX_SHIFT
    } else {
        shift
    } as u32;
    // |product| ≤ 2^31 · 2^31 = 2^62 and the rounding term is at most 2^61: the sum fits in i64.
    let product = acc as i64 * m.mult as i64;
    let rounded = (product + (1_i64 << (shift - 1))) >> shift;
    if shift >= 31 {
        // |rounded| ≤ 2^62 / 2^31 = 2^31, and +2^31 asks for acc = mult = i32::MIN, which is no valid multiplier.
        rounded as i32
    } else {
        sat32(rounded)
    }
}

/// Accumulators of [`requantize_i64`] lie in `[-2^47, 2^47)`.
pub const WIDE_BITS: u32 = 47;

/// `sat32(⌊acc · mult / 2^shift + ½⌋)` for an accumulator of 48 bits: the exact product, one rounding half up, then
/// saturation to i32.
///
/// An accumulator outside `[-2^47, 2^47)` acts as the nearest bound, a shift outside `[1, 62]` likewise.
/// [`Rounding::TfLite`] is not for wide sums, whose factors verification wants without it.
///
/// Why nothing overflows: write `acc = h·2^16 + l` with `0 ≤ l < 2^16`, so `-2^31 ≤ h < 2^31`. For `shift ≥ 16`
///
/// `⌊(acc·mult + 2^(shift−1)) / 2^shift⌋ = ⌊(h·mult + ⌊(l·mult + 2^(shift−1)) / 2^16⌋) / 2^(shift−16)⌋`
///
/// because `h·mult` is an integer. There `|l·mult| < 2^47` and `2^(shift−1) ≤ 2^61`, so that the inner sum stays below
/// 2^62; `|h·mult| ≤ 2^62` and the inner quotient is at most 2^46, so that the outer sum stays below 2^63. For a
/// smaller shift an `acc` of 32 bits is [`requantize`]'s, and any other gives at least `2^31 · 2^30 / 2^15 > 2^31`,
/// which saturates (unless `mult` is 0).
#[inline(always)]
pub const fn requantize_i64(acc: i64, m: Multiplier) -> i32 {
    if acc as i32 as i64 == acc {
        return requantize(acc as i32, m);
    }
    const LIMIT: i64 = 1 << WIDE_BITS;
    let acc = if acc < -LIMIT {
        -LIMIT
    } else if acc >= LIMIT {
        LIMIT - 1
    } else {
        acc
    };
    let shift = if m.shift > MAX_SHIFT { MAX_SHIFT } else { m.shift } as u32;
    let mult = m.mult as i64;
    if shift < 16 {
        return match (mult, (acc < 0) == (mult < 0)) {
            (0, _) => 0,
            (_, true) => i32::MAX,
            (_, false) => i32::MIN,
        };
    }
    let (high, low) = (acc >> 16, acc & 0xFFFF);
    let inner = (low * mult + (1_i64 << (shift - 1))) >> 16;
    sat32((high * mult + inner) >> (shift - 16))
}

/// Saturation to 32 bits.
#[inline(always)]
const fn sat32(x: i64) -> i32 {
    if x > i32::MAX as i64 {
        i32::MAX
    } else if x < i32::MIN as i64 {
        i32::MIN
    } else {
        x as i32
    }
}

/// `⌊x / 2^shift + ½⌋` for `shift ∈ [0, 30]` and `|x| ≤ 2^30`; a larger shift acts as 30.
#[inline(always)]
pub const fn rounding_shift_right(x: i32, shift: u8) -> i32 {
    let shift = if shift > 30 { 30 } else { shift as u32 };
    if shift == 0 { x } else { x.saturating_add(1 << (shift - 1)) >> shift }
}

/// `sat32(⌊x / 2^shift + ½⌋)` for `shift ∈ [0, 62]`; a larger shift acts as 62. Where `x + 2^(shift−1)` would exceed i64,
/// it saturates.
#[inline(always)]
pub const fn rounding_shift_right_i64(x: i64, shift: u8) -> i32 {
    let shift = if shift > 62 { 62 } else { shift as u32 };
    sat32(if shift == 0 { x } else { x.saturating_add(1 << (shift - 1)) >> shift })
}

/// `⌊numerator / denominator + ½⌋` for a positive denominator; a denominator of 0 gives 0.
#[inline]
pub const fn rounding_divide(numerator: u64, denominator: u64) -> u64 {
    let numerator = numerator.saturating_add(denominator / 2);
    if denominator == 0 { 0 } else { arch::divide(numerator, denominator) }
}

/// Saturation to int8.
#[inline(always)]
pub const fn sat8(x: i32) -> i8 {
    clamp_s8(x, i8::MIN, i8::MAX)
}

/// Saturation to int16.
#[inline(always)]
pub const fn sat16(x: i32) -> i16 {
    clamp_s16(x, i16::MIN, i16::MAX)
}

/// Saturation to `[min, max]`; if `min > max`, the result is `min`.
#[inline(always)]
pub const fn clamp_s16(x: i32, min: i16, max: i16) -> i16 {
    if x <= min as i32 {
        min
    } else if x >= max as i32 {
        if max < min { min } else { max }
    } else {
        x as i16
    }
}

/// Saturation to `[min, max]`; if `min > max`, the result is `min`.
#[inline(always)]
pub const fn clamp_s8(x: i32, min: i8, max: i8) -> i8 {
    if x <= min as i32 {
        min
    } else if x >= max as i32 {
        if max < min { min } else { max }
    } else {
        x as i8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The rule, in 128-bit integers.
    fn specification(acc: i64, m: Multiplier) -> i32 {
        let twice = 2 * i128::from(acc) * i128::from(m.mult) + (1_i128 << m.shift);
        let rounded = twice.div_euclid(1_i128 << (m.shift + 1));
        rounded.clamp(i32::MIN.into(), i32::MAX.into()) as i32
    }

    /// The rule of TensorFlow Lite, in its own steps: gemmlowp's doubling high product and its division by a power of two.
    fn tflite(acc: i32, mult: i32, shift: u8) -> i32 {
        let product = i64::from(acc) * i64::from(mult);
        let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
        let x = ((product + nudge) / (1 << 31)) as i32;
        let exponent = u32::from(shift) - 31;
        let mask = ((1_i64 << exponent) - 1) as i32;
        let (remainder, threshold) = (x & mask, (mask >> 1) + i32::from(x < 0));
        (x >> exponent) + i32::from(remainder > threshold)
    }

    proptest! {
        #[test]
        fn tflite_rounding_is_its_specification(
            acc: i32,
            narrower in 0_u32..31,
            mult in MIN_MULTIPLIER..=i32::MAX,
            shift in MIN_TFLITE_SHIFT..=MAX_SHIFT,
        ) {
            let m = Multiplier { mult, shift }.as_tflite();
            prop_assert!(m.is_valid() && m.rounding() == Rounding::TfLite);
            let acc = acc >> narrower;
            prop_assert_eq!(requantize(acc, m), tflite(acc, mult, shift));
            // About halves of results, which are where the roundings differ.
            let step = (1_i64 << shift) / i64::from(mult);
            for near in -3..3 {
                let half = i64::from(acc) / step * step + step / 2 + near;
                let half = half.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
                prop_assert_eq!(requantize(half, m), tflite(half, mult, shift));
            }
        }

        #[test]
        fn requantize_is_its_specification(acc: i32, mult in MIN_MULTIPLIER..=i32::MAX, negative: bool, shift in 1_u8..=62) {
            let m = Multiplier { mult: if negative { -mult } else { mult }, shift };
            prop_assert!(m.is_valid());
            prop_assert_eq!(requantize(acc, m), specification(acc.into(), m));
        }

        #[test]
        fn requantize_i64_is_its_specification(
            acc in -1_i64 << WIDE_BITS..1 << WIDE_BITS,
            narrower in 0_u32..48,
            mult in MIN_MULTIPLIER..=i32::MAX,
            negative: bool,
            zero in 0_u8..20,
            shift in 1_u8..=62,
        ) {
            let acc = acc >> narrower;
            let mult = if zero == 0 { 0 } else if negative { -mult } else { mult };
            let m = Multiplier { mult, shift };
            prop_assert!(m.is_valid());
            prop_assert_eq!(requantize_i64(acc, m), specification(acc, m));
        }

        #[test]
        fn rounding_shift_right_i64_is_its_specification(x in -1_i64 << 62..1 << 62, narrower in 0_u32..62, shift in 0_u8..=62) {
            let x = x >> narrower;
            let twice = 2 * i128::from(x) + (1_i128 << shift);
            let exact = twice.div_euclid(1_i128 << (shift + 1));
            prop_assert_eq!(i128::from(rounding_shift_right_i64(x, shift)), exact.clamp(i32::MIN.into(), i32::MAX.into()));
        }

        #[test]
        fn nothing_panics(acc: i64, mult: i32, shift: u8) {
            requantize(acc as i32, Multiplier { mult, shift });
            requantize_i64(acc, Multiplier { mult, shift });
            rounding_shift_right(acc as i32, shift);
            rounding_shift_right_i64(acc, shift);
        }
    }

    #[test]
    fn halves_of_tflite_go_away_from_zero_and_small_shifts_are_rounded_once() {
        let half = Multiplier { mult: 1 << 30, shift: 32 }.as_tflite();
        assert_eq!([-10, -6, -2, 2, 6, 10].map(|x| requantize(x, half)), [-3, -2, -1, 1, 2, 3]);
        // 0.4999… of a step, twice rounded up.
        let m = Multiplier { mult: (1 << 30) + 1, shift: 40 };
        assert_eq!([m, m.as_tflite()].map(|m| requantize(511, m)), [0, 1]);
        for m in [Multiplier { mult: 1 << 30, shift: 31 }, Multiplier { mult: -(1 << 30), shift: 40 }] {
            assert_eq!(m.as_tflite(), m);
        }
        let zero = Multiplier { mult: 0, shift: 40 }.as_tflite();
        assert_eq!([i32::MIN + 1, -1, 0, 1, i32::MAX - 1].map(|x| requantize(x, zero)), [0; 5]);
        assert!(!Multiplier { mult: 1 << 30, shift: TFLITE_FLAG | 31 }.is_valid());
        assert!(!Multiplier { mult: -(1 << 30), shift: TFLITE_FLAG | 40 }.is_valid());
        let largest = Multiplier { mult: i32::MAX, shift: 32 }.as_tflite();
        assert_eq!(
            [i32::MIN, i32::MAX].map(|x| requantize(x, largest)),
            [i32::MIN, i32::MAX].map(|x| tflite(x, i32::MAX, 32))
        );
    }

    #[test]
    fn quotients_are_rounded_away_from_zero() {
        assert_eq!(
            [-7, -6, -5, -2, -1, 0, 1, 2, 5, 6, 7].map(|n| rounding_divide_away(n, 4)),
            [-2, -2, -1, -1, 0, 0, 0, 1, 1, 2, 2]
        );
        assert_eq!([-5, -4, 4, 5].map(|n| rounding_divide_away(n, 3)), [-2, -1, 1, 2]);
        assert_eq!([rounding_divide_away(7, 0), rounding_divide_away(i32::MIN, 1)], [0, i32::MIN]);
    }

    #[test]
    fn halves_round_up() {
        let half = Multiplier { mult: 1 << 30, shift: 31 };
        assert_eq!([-3, -1, 1, 3].map(|x| requantize(x, half)), [-1, 0, 1, 2]);
        assert_eq!([-3, -1, 1, 3].map(|x| rounding_shift_right(x, 1)), [-1, 0, 1, 2]);
        assert_eq!([-3, -1, 1, 3].map(|x| rounding_shift_right_i64(x, 1)), [-1, 0, 1, 2]);
        assert_eq!(rounding_divide(3, 2), 2);
        assert_eq!(rounding_divide(1, 0), 0);
    }

    #[test]
    fn saturates() {
        let large = Multiplier { mult: i32::MAX, shift: 1 };
        assert_eq!(requantize(i32::MAX, large), i32::MAX);
        assert_eq!(requantize(i32::MIN, large), i32::MIN);
        for (acc, shift) in [(1_i64 << 31, 1), (1 << 46, 15), ((1 << 47) - 1, 16), (i64::MAX, 30)] {
            let m = Multiplier { mult: MIN_MULTIPLIER, shift };
            assert_eq!([acc, -acc].map(|acc| requantize_i64(acc, m)), [i32::MAX, i32::MIN]);
            assert_eq!(requantize_i64(acc, Multiplier { mult: -MIN_MULTIPLIER, shift }), i32::MIN);
        }
        assert_eq!([32_768, -32_769].map(sat16), [32_767, -32_768]);
        assert_eq!(clamp_s16(0, 5, 3), 5);
        assert_eq!(sat8(128), 127);
        assert_eq!(sat8(-129), -128);
        assert_eq!(clamp_s8(0, 5, 3), 5);
    }
}
