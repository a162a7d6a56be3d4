//! Reductions of squares and of exponentials.

pub mod portable;
pub mod reference;
#[cfg(test)]
mod tests;

use super::Output;
use crate::fixed::Multiplier;

/// Parameters of [`reference::reduce_square`].
#[derive(Debug, Clone, Copy)]
pub struct ReduceSquare<'a, E> {
    /// Shape of the input, at most 8 axes.
    pub shape: &'a [u32],
    /// Bit i is set if axis i is reduced.
    pub axes: u32,
    /// The input's zero point.
    pub zero_point: i32,
    /// Whether the root of the sum is wanted.
    pub root: bool,
    /// `s_x² / s_y`; of the root `s_x / (s_y · 2^`[`ROOT_FRACTION_BITS`]`)`.
    pub multiplier: Multiplier,
    /// The output.
    pub output: Output<E>,
}

/// Fraction bits of a root.
pub const ROOT_FRACTION_BITS: u32 = 7;
/// Most squares of a sum: `2^16 · 2^30 < 2^47` in int16.
pub const MAX_SQUARES: usize = 1 << 16;

/// Parameters of [`reference::log_sum_exp`].
#[derive(Debug, Clone, Copy)]
pub struct LogSumExp<E> {
    /// Elements of a row, in `[1, 65535]`.
    pub row_len: usize,
    /// The input's zero point.
    pub zero_point: i32,
    /// `round(s_x · 2^(26 + exp_shift))`, at least 1.
    pub exp_mult: u32,
    /// At most 31.
    pub exp_shift: u8,
    /// `2^-26 / s_y`
    pub multiplier: Multiplier,
    /// The output.
    pub output: Output<E>,
}

impl<E> ReduceSquare<'_, E> {
    /// Whether `axis` is reduced.
    pub fn reduces(&self, axis: usize) -> bool {
        axis < 32 && self.axes >> axis & 1 == 1
    }
}
