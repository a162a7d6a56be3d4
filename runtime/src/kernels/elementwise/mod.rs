//! Elementwise operators, int8 → int8.

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
    /// Zero point, in `[-128, 127]`.
    pub zero_point: i32,
    /// Factor, at most [`Add::MAX_FACTOR`] in absolute value.
    pub mult: i32,
}

/// Parameters of [`reference::add_s8`].
#[derive(Debug, Clone, Copy)]
pub struct Add<'a> {
    /// Shapes.
    pub shape: Broadcast<'a>,
    /// First operand.
    pub a: Term,
    /// Second operand; in a difference its factor is negative.
    pub b: Term,
    /// Binary exponent by which the sum is divided, at most [`Add::MAX_SHIFT`].
    pub shift: u8,
    /// The output.
    pub output: Output,
}

impl Add<'_> {
    /// Largest absolute factor: `2 · 255 · 2^21 < 2^30`, the range of [`crate::fixed::rounding_shift_right`].
    pub const MAX_FACTOR: u32 = 1 << 21;
    /// Largest shift of [`crate::fixed::rounding_shift_right`].
    pub const MAX_SHIFT: u8 = 30;
}

/// Parameters of [`reference::mul_s8`].
#[derive(Debug, Clone, Copy)]
pub struct Mul<'a> {
    /// Shapes.
    pub shape: Broadcast<'a>,
    /// Zero points of the operands, in `[-128, 127]`.
    pub zero_points: [i32; 2],
    /// Factor of the product.
    pub multiplier: Multiplier,
    /// The output.
    pub output: Output,
}

/// Parameters of [`reference::clamp_s8`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clamp {
    /// Smallest result.
    pub min: i8,
    /// Largest result, at least `min`.
    pub max: i8,
}

/// Parameters of [`reference::requantize_s8`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requantize {
    /// Zero point of the input, in `[-128, 127]`.
    pub zero_point: i32,
    /// Factor.
    pub multiplier: Multiplier,
    /// The output.
    pub output: Output,
}

/// The values of a function of an int8 number: entry `x + 128` is that of `x`.
pub type Table = [i8; 256];
