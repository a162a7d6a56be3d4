//! Reductions over axes: sum and mean.

pub mod portable;
pub mod reference;
#[cfg(test)]
mod tests;

use super::{Element, Output};
use crate::fixed::Multiplier;

/// Parameters of [`reference::reduce`].
#[derive(Debug, Clone, Copy)]
pub struct Reduce<'a, E> {
    /// Shape of the input, at most 8 axes.
    pub shape: &'a [u32],
    /// Bit i is set if axis i is reduced.
    pub axes: u32,
    /// The input's zero point.
    pub in_zero_point: i32,
    /// `s_x / s_y`, divided by the number of summed elements if the mean is wanted.
    pub factor: Multiplier,
    /// The output.
    pub output: Output<E>,
}

impl<E: Element> Reduce<'_, E> {
    /// Whether `axis` is reduced.
    pub fn reduces(&self, axis: usize) -> bool {
        axis < 32 && self.axes >> axis & 1 == 1
    }

    /// Number of outputs.
    pub fn out_len(&self) -> Option<usize> {
        let kept = self.shape.iter().enumerate().filter(|&(axis, _)| !self.reduces(axis));
        kept.map(|(_, &d)| usize::try_from(d).ok()).try_fold(1_usize, |len, d| len.checked_mul(d?))
    }
}
