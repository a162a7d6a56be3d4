//! Relu with a slope of its own for each channel.

pub mod portable;
pub mod reference;
#[cfg(test)]
mod tests;

use super::Output;
use crate::fixed::Multiplier;

/// Parameters of [`reference::prelu`].
#[derive(Debug, Clone, Copy)]
pub struct PRelu<'a, E> {
    /// The input's zero point.
    pub in_zero_point: i32,
    /// Factor of positive values.
    pub above: Multiplier,
    /// Factors of negative values: entry `i % len` is that of element i.
    pub mult: &'a [i32],
    /// The shifts that belong to `mult`.
    pub shift: &'a [u8],
    /// The output.
    pub output: Output<E>,
}
