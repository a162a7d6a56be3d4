//! The operands of elementwise kernels, which may work in place.

/// Input and output of an elementwise operator of one operand.
pub enum Unary<'a, T> {
    /// The output takes the place of the input.
    InPlace(&'a mut [T]),
    /// Input, output.
    Apart(&'a [T], &'a mut [T]),
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
