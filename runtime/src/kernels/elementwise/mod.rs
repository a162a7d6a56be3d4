//! Elementwise operators.

pub mod portable;
pub mod reference;
#[cfg(test)]
mod tests;

use super::Output;
use crate::fixed::Multiplier;

/// Shapes of two operands and of their result.
///
/// The rule of numpy: axes are aligned at the innermost one, and along each an operand has the result's length, or 1,
/// or no axis at all; in the latter cases its values are repeated.
#[derive(Debug, Clone, Copy)]
pub struct Broadcast<'a> {
    /// First operand.
    pub a: &'a [u32],
    /// Second operand.
    pub b: &'a [u32],
    /// Result.
    pub out: &'a [u32],
}

/// How an operand enters a sum: `(x − zero_point) · mult`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// Zero point.
    pub zero_point: i32,
    /// Factor, at most [`super::Element::MAX_FACTOR`] in absolute value.
    pub mult: i32,
}

/// Parameters of [`reference::add`].
#[derive(Debug, Clone, Copy)]
pub struct Add<'a, E> {
    /// Shapes.
    pub shape: Broadcast<'a>,
    /// First operand.
    pub a: Term,
    /// Second operand; in a difference its factor is negative.
    pub b: Term,
    /// Binary exponent by which the sum is divided, at most [`super::Element::MAX_SUM_SHIFT`].
    pub shift: u8,
    /// The output.
    pub output: Output<E>,
}

/// Parameters of [`reference::mul`].
#[derive(Debug, Clone, Copy)]
pub struct Mul<'a, E> {
    /// Shapes.
    pub shape: Broadcast<'a>,
    /// Zero points of the operands.
    pub zero_points: [i32; 2],
    /// Factor of the product.
    pub multiplier: Multiplier,
    /// The output.
    pub output: Output<E>,
}

/// Parameters of [`reference::clamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clamp<E> {
    /// Smallest result.
    pub min: E,
    /// Largest result, at least `min`.
    pub max: E,
}

/// Parameters of [`reference::requantize`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requantize<E> {
    /// Zero point of the input.
    pub zero_point: i32,
    /// Factor.
    pub multiplier: Multiplier,
    /// The output.
    pub output: Output<E>,
}

/// A function of an int16 number: straight lines between knots, closer together where the function bends.
///
/// The 65536 inputs are cut into 2^k segments of equal length. Along a segment the knots are equally far apart, a power
/// of two, and the knot after its last one, with which the next segment usually begins, ends it.
#[derive(Debug, Clone, Copy)]
pub struct Interpolated<'a> {
    /// `(2^k)`, k in 0..=16: the index of the segment's first knot in the upper 24 bits, and in the lower 8 the binary
    /// logarithm of the distance of its knots, at most 16 − k.
    pub segments: &'a [u32],
    /// The function at the knots, with [`crate::fixed::KNOT_FRACTION_BITS`] fraction bits.
    pub knots: &'a [i32],
}

impl Interpolated<'_> {
    /// Binary logarithm of the number of inputs in a segment; `None` if the number of segments is no power of two, or
    /// above 2^16.
    pub const fn segment_bits(&self) -> Option<u32> {
        let count = self.segments.len();
        if count.is_power_of_two() && count <= 1 << 16 { Some(16 - count.trailing_zeros()) } else { None }
    }

    /// The first knot and the shift of a segment.
    pub const fn parts(segment: u32) -> (u32, u8) {
        (segment >> 8, (segment & 0xFF) as u8)
    }

    /// Whether every segment has its knots.
    pub fn is_sound(&self) -> bool {
        let Some(bits) = self.segment_bits() else { return false };
        self.segments.iter().all(|&segment| {
            let (first, shift) = Self::parts(segment);
            // At most 2^24 + 2^16: no overflow.
            let last = bits.checked_sub(shift.into()).map(|log| first + (1 << log));
            last.is_some_and(|last| usize::try_from(last).is_ok_and(|last| last < self.knots.len()))
        })
    }
}

/// The values of a function of an int8 number: entry `x + 128` is that of `x`.
pub type Table = [i8; 256];
