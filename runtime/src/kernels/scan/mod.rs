//! Running sums.

pub mod portable;
pub mod reference;
#[cfg(test)]
mod tests;

use super::Output;
use super::order::Along;
use crate::fixed::Multiplier;

/// Parameters of [`reference::cumulative_sum`].
#[derive(Debug, Clone, Copy)]
pub struct CumulativeSum<E> {
    /// The axis; at most [`MAX_LEN`] long.
    pub along: Along,
    /// Whether an element is left out of its own sum.
    pub exclusive: bool,
    /// Whether the sum runs from the end.
    pub reverse: bool,
    /// The input's zero point.
    pub zero_point: i32,
    /// `s_x / s_y`
    pub multiplier: Multiplier,
    /// The output.
    pub output: Output<E>,
}

/// Longest sum: `2^23 · 255 < 2^31` in int8, and far below 2^47 in int16.
pub const MAX_LEN: usize = 1 << 23;
