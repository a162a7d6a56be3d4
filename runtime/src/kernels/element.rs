//! The element types of activations: each kernel is written once for all of them.

use core::fmt::Debug;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::PerChannel;
use crate::fixed::{self, Multiplier, Rounding};
pub use crate::format::DataType;

/// An element of an activation: int8 with any zero point, or int16 or int32 with zero point 0. Only what lies between the
/// squares or exponentials of a signal and a logarithm or root of their sums is int32.
pub trait Element:
    Copy + Ord + Default + Debug + Send + Sync + FromBytes + IntoBytes + Immutable + KnownLayout + 'static
{
    /// Holds every sum of products that verification admits.
    type Sum: Accumulator;

    /// Its code in a file.
    const DATA_TYPE: DataType;
    /// Smallest value.
    const MIN: Self;
    /// Largest value.
    const MAX: Self;
    /// So many products with int8 weights sum up within i32; 0 if not even one is sure to.
    const BLOCK: usize;
    /// Largest sum of the absolute weights of a sum of products.
    const MAX_WEIGHTS: u32 = u32::MAX;
    /// So many differences of zero point and value fit in a sum: in int8 `2^23 · 255 < 2^31`, in int16 `2^23 · 2^15 < 2^47`.
    const MAX_SUMMED: usize = 1 << 23;
    /// Largest absolute bias of a sum of products.
    const MAX_BIAS: u32;
    /// Largest absolute factor of an operand of a sum, see [`super::elementwise::Term`].
    const MAX_FACTOR: u32;
    /// Largest binary exponent by which a sum of scaled operands is divided.
    const MAX_SUM_SHIFT: u8;
    /// `[0, 1)` fills the type's values from [`Element::UNIT_ZERO`] on at a scale of 1/2^`UNIT_BITS`.
    const UNIT_BITS: u8;
    /// The zero point of that scale.
    const UNIT_ZERO: i32;

    /// The value as a number of 32 bits.
    fn widen(self) -> i32;

    /// The nearest value.
    fn saturate(x: i32) -> Self;

    /// The end of a range as 16 bits say it.
    fn end(x: i16) -> Self {
        Self::saturate(x.into())
    }

    /// The nearest value in `[min, max]`; if `min > max`, `min`.
    fn limit(x: i32, min: Self, max: Self) -> Self;

    /// `Σ_i w_r[i] · x[i]` of at most [`Element::BLOCK`] elements, for four rows r of `w`, each as long as `x`.
    #[inline(always)]
    fn dot4(x: &[Self], w: [&[i8]; 4]) -> [i32; 4] {
        super::dot::block4(x, w)
    }

    /// See [`crate::arch::row_quads`].
    #[inline(always)]
    fn row_quads(
        _requant: &PerChannel<Self>,
        _rounding: Option<Rounding>,
        _first: usize,
        _x: &[Self],
        _w: &[i8],
        _out: &mut [Self],
    ) -> usize {
        0
    }
}

/// A sum that is exact as long as it stays within the ranges that verification proves; beyond them it wraps.
pub trait Accumulator: Copy + Default + Debug + From<i32> + FromBytes + IntoBytes + Immutable + KnownLayout {
    /// `self + x`.
    fn plus(self, x: i32) -> Self;

    /// `self + x · factor`.
    fn plus_product(self, x: i32, factor: i32) -> Self;

    /// [`fixed::requantize`] or [`fixed::requantize_i64`].
    fn requantize(self, m: Multiplier) -> i32;

    /// [`fixed::rounding_shift_right`] or [`fixed::rounding_shift_right_i64`].
    fn rounding_shift_right(self, shift: u8) -> i32;
}

impl Element for i8 {
    type Sum = i32;

    const DATA_TYPE: DataType = DataType::I8;
    const MIN: Self = i8::MIN;
    const MAX: Self = i8::MAX;
    // Every depth that verification admits: 2^16 · 2^14 + 2^30 < 2^31.
    const BLOCK: usize = usize::MAX;
    const MAX_BIAS: u32 = 1 << 30;
    // 2 · 255 · 2^21 < 2^30, the range of `rounding_shift_right`.
    const MAX_FACTOR: u32 = 1 << 21;
    const MAX_SUM_SHIFT: u8 = 30;
    const UNIT_BITS: u8 = 8;
    const UNIT_ZERO: i32 = -128;

    #[inline(always)]
    fn widen(self) -> i32 {
        self.into()
    }

    #[inline(always)]
    fn saturate(x: i32) -> Self {
        fixed::sat8(x)
    }

    #[inline(always)]
    fn limit(x: i32, min: Self, max: Self) -> Self {
        fixed::clamp_s8(x, min, max)
    }

    #[inline(always)]
    fn dot4(x: &[Self], w: [&[i8]; 4]) -> [i32; 4] {
        crate::arch::dot4(x, w)
    }

    #[inline(always)]
    fn row_quads(
        requant: &PerChannel<Self>,
        rounding: Option<Rounding>,
        first: usize,
        x: &[Self],
        w: &[i8],
        out: &mut [Self],
    ) -> usize {
        crate::arch::row_quads(requant, rounding, first, x, w, out)
    }
}

impl Element for i16 {
    type Sum = i64;

    const DATA_TYPE: DataType = DataType::I16;
    const MIN: Self = i16::MIN;
    const MAX: Self = i16::MAX;
    // 480 · 2^15 · 2^7 < 2^31.
    const BLOCK: usize = 480;
    const MAX_BIAS: u32 = 1 << 31;
    // 2 · 2^15 · 2^30 ≤ 2^46, the range of `rounding_shift_right_i64`.
    const MAX_FACTOR: u32 = 1 << 30;
    const MAX_SUM_SHIFT: u8 = 46;
    const UNIT_BITS: u8 = 15;
    const UNIT_ZERO: i32 = 0;

    #[inline(always)]
    fn widen(self) -> i32 {
        self.into()
    }

    #[inline(always)]
    fn saturate(x: i32) -> Self {
        fixed::sat16(x)
    }

    #[inline(always)]
    fn limit(x: i32, min: Self, max: Self) -> Self {
        fixed::clamp_s16(x, min, max)
    }
}

impl Element for i32 {
    type Sum = i64;

    const DATA_TYPE: DataType = DataType::I32;
    const MIN: Self = i32::MIN;
    const MAX: Self = i32::MAX;
    // A product alone may exceed i32.
    const BLOCK: usize = 0;
    // 2^31 · (2^16 − 1) + 2^31 = 2^47, the range of `requantize_i64`.
    const MAX_WEIGHTS: u32 = (1 << 16) - 1;
    // 2^16 · 2^31 = 2^47.
    const MAX_SUMMED: usize = 1 << 16;
    const MAX_BIAS: u32 = 1 << 31;
    // 2 · 2^31 · 2^30 = 2^62, the range of `rounding_shift_right_i64`.
    const MAX_FACTOR: u32 = 1 << 30;
    const MAX_SUM_SHIFT: u8 = 62;
    const UNIT_BITS: u8 = 31;
    const UNIT_ZERO: i32 = 0;

    #[inline(always)]
    fn widen(self) -> i32 {
        self
    }

    #[inline(always)]
    fn saturate(x: i32) -> Self {
        x
    }

    /// The ends of int16 stand for those of int32: no activation is fused into what gives int32.
    fn end(x: i16) -> Self {
        match x {
            i16::MIN => i32::MIN,
            i16::MAX => i32::MAX,
            x => x.into(),
        }
    }

    #[inline(always)]
    fn limit(x: i32, min: Self, max: Self) -> Self {
        x.min(max).max(min)
    }
}

impl Accumulator for i32 {
    #[inline(always)]
    fn plus(self, x: i32) -> Self {
        self.wrapping_add(x)
    }

    #[inline(always)]
    fn plus_product(self, x: i32, factor: i32) -> Self {
        self.wrapping_add(x.wrapping_mul(factor))
    }

    #[inline(always)]
    fn requantize(self, m: Multiplier) -> i32 {
        fixed::requantize(self, m)
    }

    #[inline(always)]
    fn rounding_shift_right(self, shift: u8) -> i32 {
        fixed::rounding_shift_right(self, shift)
    }
}

impl Accumulator for i64 {
    #[inline(always)]
    fn plus(self, x: i32) -> Self {
        self.wrapping_add(x.into())
    }

    #[inline(always)]
    fn plus_product(self, x: i32, factor: i32) -> Self {
        // |x · factor| ≤ 2^62: exact.
        self.wrapping_add(i64::from(x).wrapping_mul(factor.into()))
    }

    #[inline(always)]
    fn requantize(self, m: Multiplier) -> i32 {
        fixed::requantize_i64(self, m)
    }

    #[inline(always)]
    fn rounding_shift_right(self, shift: u8) -> i32 {
        fixed::rounding_shift_right_i64(self, shift)
    }
}
