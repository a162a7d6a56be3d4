//! Quotients of two activations, and angles that they give.

pub mod portable;
pub mod reference;
#[cfg(test)]
mod tests;

use super::Output;
use super::elementwise::{Broadcast, Term};
use crate::fixed::Multiplier;

/// Parameters of [`reference::div`].
#[derive(Debug, Clone, Copy)]
pub struct Div<'a, E> {
    /// Shapes.
    pub shape: Broadcast<'a>,
    /// Zero points of the operands.
    pub zero_points: [i32; 2],
    /// Significand of `s_a / (s_b · s_y)`, not negative.
    pub mult: i32,
    /// Negated binary exponent of it, at most [`MAX_SHIFT`].
    pub shift: u8,
    /// The output.
    pub output: Output<E>,
}

/// Largest shift: a denominator is then below `2^16 · 2^30`.
pub const MAX_SHIFT: u8 = 30;

/// Parameters of [`reference::angle`].
#[derive(Debug, Clone, Copy)]
pub struct Angle<'a, E> {
    /// Shapes.
    pub shape: Broadcast<'a>,
    /// The ordinate; its factor and that of the abscissa are as `s_a` to `s_b`, and positive.
    pub a: Term,
    /// The abscissa.
    pub b: Term,
    /// Whether all four quadrants are told apart: the angle of the point, not the arc tangent of the quotient.
    pub full: bool,
    /// `2^-29 / s_y`
    pub multiplier: Multiplier,
    /// The output.
    pub output: Output<E>,
}
