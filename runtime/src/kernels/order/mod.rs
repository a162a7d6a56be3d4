//! Operators that compare the elements of a tensor with each other.

pub mod portable;
pub mod reference;
#[cfg(test)]
mod tests;

use super::nest::elements;

/// Elements along an axis: a tensor `(outer, len, inner)`, of which `len` is looked along.
#[derive(Debug, Clone, Copy)]
pub struct Along {
    /// Product of the axes before.
    pub outer: usize,
    /// Length of the axis, at least 1.
    pub len: usize,
    /// Product of the axes behind.
    pub inner: usize,
}

/// Parameters of [`reference::arg_extreme`].
#[derive(Debug, Clone, Copy)]
pub struct ArgExtreme {
    /// The axis.
    pub along: Along,
    /// Whether the largest element is wanted, not the smallest.
    pub largest: bool,
    /// Whether the last of several equal ones is wanted, not the first.
    pub last: bool,
}

/// Parameters of [`reference::top_k`].
#[derive(Debug, Clone, Copy)]
pub struct TopK {
    /// The axis.
    pub along: Along,
    /// How many, at most `len`.
    pub k: usize,
    /// Whether the largest elements are wanted, not the smallest.
    pub largest: bool,
}

/// Parameters of [`reference::extreme`].
#[derive(Debug, Clone, Copy)]
pub struct Extreme<'a> {
    /// Shape of the input, at most 8 axes.
    pub shape: &'a [u32],
    /// Bit i is set if axis i is reduced.
    pub axes: u32,
    /// Whether the largest element is wanted, not the smallest.
    pub largest: bool,
}

impl Along {
    /// Axis `axis` of a tensor of this shape.
    pub fn new(shape: &[u32], axis: usize) -> Option<Self> {
        let (before, rest) = shape.split_at_checked(axis)?;
        let (&len, behind) = rest.split_first()?;
        Some(Self { outer: elements(before)?, len: usize::try_from(len).ok()?, inner: elements(behind)? })
    }
}

impl Extreme<'_> {
    /// Whether `axis` is reduced.
    pub fn reduces(&self, axis: usize) -> bool {
        axis < 32 && self.axes >> axis & 1 == 1
    }
}

/// Whether `a` is ahead of `b`.
#[inline(always)]
fn ahead<T: Ord>(largest: bool, a: T, b: T) -> bool {
    if largest { a > b } else { a < b }
}
