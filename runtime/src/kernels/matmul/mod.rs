//! Matrix product of two activations.

pub mod portable;
pub mod reference;
#[cfg(test)]
mod tests;

use super::Output;
use crate::fixed::Multiplier;

/// Parameters of [`reference::matmul`].
#[derive(Debug, Clone, Copy)]
pub struct MatMul<E> {
    /// Number of products.
    pub batches: usize,
    /// Whether the first, the second operand is one matrix for all products.
    pub shared: [bool; 2],
    /// Rows of the first operand and of the result.
    pub rows: usize,
    /// Length of the rows of both operands, in `[1, 2^15]`.
    pub depth: usize,
    /// Rows of the second operand, columns of the result.
    pub columns: usize,
    /// Zero points of the operands.
    pub zero_points: [i32; 2],
    /// `s_a · s_b / s_y`
    pub multiplier: Multiplier,
    /// The output.
    pub output: Output<E>,
}

/// Largest depth: `2^15 · 255^2 < 2^31` in int8, `2^15 · 2^30 < 2^47` in int16.
pub const MAX_DEPTH: usize = 1 << 15;
