//! The operands of elementwise kernels, which may work in place.

use core::ops::Range;

/// Input and output of an elementwise operator of one operand.
pub enum Unary<'a, T> {
    /// The output takes the place of the input.
    InPlace(&'a mut [T]),
    /// Input, output.
    Apart(&'a [T], &'a mut [T]),
    /// The output grows over the input, of which a kernel has read what it still needs before it writes there.
    Overlapping {
        /// Holds both.
        memory: &'a mut [T],
        /// The input in it.
        x: Range<usize>,
        /// The output in it.
        y: Range<usize>,
    },
}

/// Inputs and output of an elementwise operator of two operands.
pub enum Binary<'a, T> {
    /// First operand, second operand, output.
    Apart(&'a [T], &'a [T], &'a mut [T]),
    /// The output takes the place of the first operand; the second operand.
    InPlaceFirst(&'a mut [T], &'a [T]),
    /// The first operand; the output takes the place of the second operand.
    InPlaceSecond(&'a [T], &'a mut [T]),
    /// Both operands are the same tensor, and the output takes its place.
    InPlaceBoth(&'a mut [T]),
}

impl<T> Unary<'_, T> {
    /// The input, as far as the output has not taken its place.
    pub fn x(&self) -> &[T] {
        match self {
            Self::InPlace(y) => y,
            Self::Apart(x, _) => x,
            Self::Overlapping { memory, x, .. } => memory.get(x.clone()).unwrap_or(&[]),
        }
    }

    /// The output.
    pub fn y(&mut self) -> &mut [T] {
        match self {
            Self::InPlace(y) | Self::Apart(_, y) => y,
            Self::Overlapping { memory, y, .. } => memory.get_mut(y.clone()).unwrap_or_default(),
        }
    }

    /// Whether what is written never changes what is read.
    pub fn is_apart(&self) -> bool {
        matches!(self, Self::Apart(..))
    }
}

impl<T: Copy> Unary<'_, T> {
    /// `f` of every element; `None` if input and output differ in length.
    #[inline(always)]
    pub fn map(self, f: impl Fn(T) -> T) -> Option<()> {
        match self {
            Self::InPlace(y) => {
                for y in y {
                    *y = f(*y);
                }
            }
            Self::Apart(x, y) => {
                if x.len() != y.len() {
                    return None;
                }
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = f(x);
                }
            }
            // No elementwise operator lets its output overlap in part.
            Self::Overlapping { .. } => return None,
        }
        Some(())
    }
}

impl<'a, T> Binary<'a, T> {
    /// First operand, second operand, output; `None` for an operand whose place the output takes.
    pub fn parts(self) -> (Option<&'a [T]>, Option<&'a [T]>, &'a mut [T]) {
        match self {
            Self::Apart(a, b, y) => (Some(a), Some(b), y),
            Self::InPlaceFirst(y, b) => (None, Some(b), y),
            Self::InPlaceSecond(a, y) => (Some(a), None, y),
            Self::InPlaceBoth(y) => (None, None, y),
        }
    }
}
