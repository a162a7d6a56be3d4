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

/// Parameters of [`reference::add_tflite`].
#[derive(Debug, Clone, Copy)]
pub struct AddTfLite<'a> {
    /// Shapes.
    pub shape: Broadcast<'a>,
    /// Zero points of the operands.
    pub zero_points: [i32; 2],
    /// Factor of the operand with the smaller scale, rounded as TensorFlow Lite does, and how many bits it is shifted left
    /// before.
    pub fine: (Multiplier, u8),
    /// Factor of the sum, rounded as TensorFlow Lite does.
    pub sum: Multiplier,
    /// Whether the operand with the smaller scale is the first.
    pub fine_first: bool,
    /// Whether the second operand is taken off the first.
    pub difference: bool,
    /// The output.
    pub output: Output<i8>,
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

/// A function of an int32 number: straight lines between knots as far apart, in proportion, as floating-point numbers.
///
/// Of a positive x, let e be the bits that it has beyond `bits + 1`, or 0. Then `x = m·2^e + t` with `t < 2^e`, and knot
/// `m + e·2^bits` is the function of `m·2^e`: below 2^(bits + 1) each number has a knot of its own, and each octave above has
/// 2^bits of them.
#[derive(Debug, Clone, Copy)]
pub struct Octaves<'a> {
    /// Binary logarithm of the knots in an octave, in 1..=10.
    pub bits: u8,
    /// `((32 − bits)·2^bits + 1)`: the function of 0 and above at the knots, with [`crate::fixed::KNOT_FRACTION_BITS`] fraction
    /// bits. Twice as many, if the function of negative numbers follows, at the same distances from 0; without them a negative
    /// number counts as 0.
    pub knots: &'a [i32],
}

/// Place of a number among the knots of an octave table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The knot at or before it.
    pub knot: u32,
    /// Its distance from there, in units of 2^-shift of the distance of the next knot.
    pub t: u32,
    /// At most 16.
    pub shift: u8,
}

impl Octaves<'_> {
    /// Knots of a table of one sign.
    pub const fn knot_count(bits: u8) -> usize {
        let bits = Self::limited(bits);
        ((32 - bits as usize) << bits) + 1
    }

    /// Beyond their range, which no sound table is, bits act as the end of it.
    const fn limited(bits: u8) -> u32 {
        if bits > 10 { 10 } else { bits as u32 }
    }

    /// Whether all numbers have their knots.
    pub fn is_sound(&self) -> bool {
        let count = Self::knot_count(self.bits);
        (1..=10).contains(&self.bits) && (self.knots.len() == count || self.knots.len() == 2 * count)
    }

    /// Where `x ∈ [0, 2^31]` lies. Of a distance of more than 16 bits the lowest are dropped.
    #[inline(always)]
    pub const fn place(bits: u8, x: u32) -> Place {
        let bits = Self::limited(bits);
        let exponent = (31 - (x | 1).leading_zeros()).saturating_sub(bits);
        let rest = x & ((1 << exponent) - 1);
        let dropped = exponent.saturating_sub(16);
        Place { knot: (x >> exponent) + (exponent << bits), t: rest >> dropped, shift: (exponent - dropped) as u8 }
    }
}

/// The values of a function of an int8 number: entry `x + 128` is that of `x`.
pub type Table = [i8; 256];
