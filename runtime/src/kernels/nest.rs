//! Loops over the axes of tensors in memory: what broadcast and the movements of values share.

use heapless::Vec;

/// Largest number of axes of a tensor.
pub const MAX_AXES: usize = 8;

/// One loop over `N` views of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axis<const N: usize> {
    /// How often it runs.
    pub len: usize,
    /// How far each view advances each time, in elements; 0 reads the same again, a negative number goes back.
    pub stride: [isize; N],
}

/// Loops one inside the other, as few as possible: loops that run once are left out, and two of which the outer one
/// takes up in every view where the inner one ends are one.
#[derive(Debug, Clone)]
pub struct Nest<const N: usize> {
    /// Innermost first.
    axes: Vec<Axis<N>, MAX_AXES>,
}

impl<const N: usize> Axis<N> {
    /// Whether `outer` takes up in every view where `self` ends.
    fn continues_in(&self, outer: &Self) -> bool {
        let Ok(len) = isize::try_from(self.len) else { return false };
        // No wrapping: a product that overflows is no stride.
        self.stride.iter().zip(&outer.stride).all(|(inner, &outer)| inner.checked_mul(len) == Some(outer))
    }
}

impl<const N: usize> Nest<N> {
    /// The nest of these loops, innermost first; `None` if there are more than [`MAX_AXES`].
    pub fn new(axes: impl Iterator<Item = Axis<N>>) -> Option<Self> {
        let mut merged: Vec<Axis<N>, MAX_AXES> = Vec::new();
        for axis in axes.filter(|axis| axis.len != 1) {
            match merged.last_mut() {
                Some(inner) if inner.continues_in(&axis) => inner.len = inner.len.checked_mul(axis.len)?,
                _ => merged.push(axis).ok()?,
            }
        }
        Some(Self { axes: merged })
    }

    /// The innermost loop: a row.
    pub fn row(&self) -> Axis<N> {
        self.axes.first().copied().unwrap_or(Axis { len: 1, stride: [1; N] })
    }

    /// Where each row begins in each view, in order, the first at `start`.
    pub fn rows(&self, start: [isize; N]) -> Rows<'_, N> {
        Rows { outer: self.axes.get(1..).unwrap_or(&[]), passed: [0; MAX_AXES], next: Some(start) }
    }
}

/// See [`Nest::rows`].
#[derive(Debug)]
pub struct Rows<'n, const N: usize> {
    outer: &'n [Axis<N>],
    /// How often each loop has run.
    passed: [usize; MAX_AXES],
    next: Option<[isize; N]>,
}

impl<const N: usize> Iterator for Rows<'_, N> {
    type Item = [isize; N];

    fn next(&mut self) -> Option<[isize; N]> {
        let current = self.next?;
        let mut at = current;
        self.next = None;
        for (axis, passed) in self.outer.iter().zip(&mut self.passed) {
            // Sums wrap: every position that a view really has lies within a slice, so within isize.
            *passed = passed.wrapping_add(1);
            if *passed < axis.len {
                at.iter_mut().zip(axis.stride).for_each(|(at, stride)| *at = at.wrapping_add(stride));
                self.next = Some(at);
                break;
            }
            *passed = 0;
            let back = (axis.len as isize).wrapping_sub(1);
            at.iter_mut().zip(axis.stride).for_each(|(at, stride)| *at = at.wrapping_sub(stride.wrapping_mul(back)));
        }
        Some(current)
    }
}

/// Length and row-major stride of each axis of a tensor, innermost first.
pub fn axes(shape: &[u32]) -> impl Iterator<Item = (usize, isize)> + '_ {
    shape.iter().rev().scan(1_isize, |next, &dim| {
        let stride = *next;
        *next = stride.wrapping_mul(dim as isize);
        Some((dim as usize, stride))
    })
}

/// Number of elements of a tensor.
pub fn elements(shape: &[u32]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |len, &dim| len.checked_mul(usize::try_from(dim).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{vec, vec::Vec as List};

    fn nest(axes: &[(usize, isize)]) -> Nest<1> {
        Nest::new(axes.iter().map(|&(len, stride)| Axis { len, stride: [stride] })).unwrap()
    }

    fn starts(nest: &Nest<1>, start: isize) -> List<isize> {
        nest.rows([start]).map(|[at]| at).collect()
    }

    #[test]
    fn contiguous_axes_are_one_row() {
        let nest = nest(&[(4, 1), (1, 99), (3, 4), (2, 12)]);
        assert_eq!(nest.row(), Axis { len: 24, stride: [1] });
        assert_eq!(starts(&nest, 5), [5]);
    }

    #[test]
    fn a_view_that_repeats_keeps_its_axis() {
        let pair = |len, stride| Axis { len, stride };
        let nest = Nest::new([pair(3, [1, 1]), pair(5, [3, 0]), pair(2, [15, 0])].into_iter()).unwrap();
        assert_eq!(nest.row(), pair(3, [1, 1]));
        assert_eq!(nest.rows([0, 7]).collect::<List<_>>(), (0..10).map(|i| [3 * i, 7]).collect::<List<_>>());
    }

    #[test]
    fn rows_come_in_order() {
        let nest = nest(&[(2, 1), (3, 10), (2, -100)]);
        assert_eq!(starts(&nest, 100), [100, 110, 120, 0, 10, 20]);
    }

    #[test]
    fn a_scalar_is_one_row_of_one() {
        let nest = nest(&[]);
        assert_eq!((nest.row().len, starts(&nest, 3)), (1, vec![3]));
    }

    #[test]
    fn strides_that_overflow_do_not_panic() {
        let nest = nest(&[(usize::MAX, isize::MAX), (3, isize::MIN), (2, isize::MAX)]);
        assert_eq!(starts(&nest, isize::MAX).len(), 6);
        assert!(Nest::new((0..9).map(|i| Axis { len: 2, stride: [3 * i + 1] })).is_none());
    }

    #[test]
    fn strides_are_row_major() {
        assert_eq!(axes(&[2, 3, 4]).collect::<List<_>>(), [(4, 1), (3, 4), (2, 12)]);
        assert_eq!((elements(&[2, 3, 4]), elements(&[])), (Some(24), Some(1)));
    }
}
