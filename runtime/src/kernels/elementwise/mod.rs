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

/// The values of a function of an int8 number: entry `x + 128` is that of `x`.
pub type Table = [i8; 256];
