//! Elements taken from, and put at, places that data names: gather and scatter.
//!
//! An index counts from the end where it is negative. One that is out of range is a fault of the data, and reported.

pub mod portable;
pub mod reference;
#[cfg(test)]
mod tests;

/// Why a kernel stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A slice has another size than its shape.
    Size,
    /// An index is out of range.
    Index,
}

/// Parameters of [`reference::gather`].
#[derive(Debug, Clone, Copy)]
pub struct Gather {
    /// Product of the axes before the gathered one.
    pub outer: usize,
    /// Length of the gathered axis.
    pub len: usize,
    /// Product of the axes after it.
    pub inner: usize,
}

/// Parameters of [`reference::gather_elements`].
#[derive(Debug, Clone, Copy)]
pub struct GatherElements<'a> {
    /// Shape of the data.
    pub data_shape: &'a [u32],
    /// Shape of the indices and of the output: as many axes, none but `axis` longer than that of the data.
    pub shape: &'a [u32],
    /// The axis along which the indices count.
    pub axis: usize,
}

/// Parameters of [`reference::gather_nd`].
#[derive(Debug, Clone, Copy)]
pub struct GatherNd<'a> {
    /// Product of the leading axes that data and indices share.
    pub batches: usize,
    /// Axes of the data that a tuple of indices names.
    pub dims: &'a [u32],
    /// Product of the axes of the data after them.
    pub inner: usize,
}

/// Where a scatter puts the updates.
#[derive(Debug, Clone, Copy)]
pub enum Places<'a> {
    /// Update `(i_0, …)` goes to `(i_0, …)` with the coordinate along `axis` replaced by the index.
    Elements {
        /// Shape of the indices and of the updates.
        shape: &'a [u32],
        /// The axis along which the indices count.
        axis: usize,
    },
    /// Each tuple of so many indices names a block of the data, as in [`GatherNd`] without batches.
    Nd {
        /// Indices in a tuple.
        depth: usize,
    },
}

/// Parameters of [`reference::scatter`].
#[derive(Debug, Clone, Copy)]
pub struct Scatter<'a> {
    /// Shape of the data and of the output.
    pub data_shape: &'a [u32],
    /// Where the updates go.
    pub places: Places<'a>,
}

/// `index` along an axis of length `len`, negative ones from the end; `None` if it is out of range.
#[inline(always)]
pub fn position(index: i32, len: usize) -> Option<usize> {
    let index = i64::from(index);
    let from_start = if index < 0 { index.wrapping_add(i64::try_from(len).ok()?) } else { index };
    usize::try_from(from_start).ok().filter(|&at| at < len)
}

/// An operation on two integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// `a + b`
    Add,
    /// `a − b`
    Sub,
    /// `a·b`
    Mul,
    /// `a/b`, towards 0.
    Div,
    /// The smaller.
    Min,
    /// The larger.
    Max,
    /// The remainder with the sign of the divisor.
    Mod,
    /// The remainder with the sign of the dividend.
    Rem,
}

impl Arithmetic {
    /// The operation with this code in a file.
    pub const fn from_code(code: u32) -> Option<Self> {
        match code {
            0 => Some(Self::Add),
            1 => Some(Self::Sub),
            2 => Some(Self::Mul),
            3 => Some(Self::Div),
            4 => Some(Self::Min),
            5 => Some(Self::Max),
            6 => Some(Self::Mod),
            7 => Some(Self::Rem),
            _ => None,
        }
    }

    /// Its code in a file.
    pub const fn code(self) -> u32 {
        self as u32
    }

    /// The result; `None` if it does not fit, or is a quotient by 0.
    pub fn of(self, a: i32, b: i32) -> Option<i32> {
        match self {
            Self::Add => a.checked_add(b),
            Self::Sub => a.checked_sub(b),
            Self::Mul => a.checked_mul(b),
            Self::Div => a.checked_div(b),
            Self::Min => Some(a.min(b)),
            Self::Max => Some(a.max(b)),
            Self::Mod => {
                let rest = a.checked_rem(b)?;
                if rest != 0 && (rest < 0) != (b < 0) { rest.checked_add(b) } else { Some(rest) }
            }
            Self::Rem => a.checked_rem(b),
        }
    }
}
