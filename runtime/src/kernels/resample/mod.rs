//! Images whose rows and columns are weighted sums of the input's: resizing, padding by reflection.

pub mod portable;
pub mod reference;
#[cfg(test)]
mod tests;

use super::Output;

/// Fraction bits of the weights.
pub const WEIGHT_BITS: u8 = 20;
/// Largest sum of the absolute weights of one output along one axis: 4. So that an accumulator, at most
/// `2^22 · 2^22 · 2^16`, cannot overflow.
pub const MAX_WEIGHT_SUM: u32 = 4 << WEIGHT_BITS;

/// What the outputs along one axis are made of.
#[derive(Debug, Clone, Copy)]
pub struct Taps<'a> {
    /// Number of inputs of each output, at least 1.
    pub width: usize,
    /// `(outputs, width)`: their indices.
    pub index: &'a [i16],
    /// `(outputs, width)`: their weights, in units of 2^-20.
    pub weight: &'a [i32],
}

/// Parameters of [`reference::resample2d`].
#[derive(Debug, Clone, Copy)]
pub struct Resample2d<'a, E> {
    /// Number of images.
    pub batch: usize,
    /// Channels of input and output.
    pub channels: usize,
    /// Height and width of the input.
    pub input: [usize; 2],
    /// Along the height; the factor from the input's scale to the output's is in these weights.
    pub rows: Taps<'a>,
    /// Along the width.
    pub columns: Taps<'a>,
    /// The input's zero point.
    pub in_zero_point: i32,
    /// The output.
    pub output: Output<E>,
}

impl<'a> Taps<'a> {
    /// Indices and weights of each output; a negative index is one far beyond the end.
    #[inline(always)]
    pub fn outputs(&self) -> impl Iterator<Item = impl Iterator<Item = (usize, i32)> + 'a> + 'a {
        let Self { index, weight, width } = *self;
        (0..self.len()).map_while(move |i| row(index, weight, width, i))
    }

    /// Indices and weights of output `i`.
    #[inline(always)]
    pub fn output(&self, i: usize) -> Option<impl Iterator<Item = (usize, i32)> + 'a> {
        row(self.index, self.weight, self.width, i)
    }

    /// Number of outputs.
    pub fn len(&self) -> usize {
        self.index.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there is no output.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Indices and weights of output `i`, of which there are `width`.
#[inline(always)]
fn row<'a>(
    index: &'a [i16],
    weight: &'a [i32],
    width: usize,
    i: usize,
) -> Option<impl Iterator<Item = (usize, i32)> + 'a> {
    let start = i.checked_mul(width)?;
    let part = start..start.checked_add(width)?;
    Some(pairs(index.get(part.clone())?, weight.get(part)?))
}

#[inline(always)]
fn pairs<'a>(index: &'a [i16], weight: &'a [i32]) -> impl Iterator<Item = (usize, i32)> + 'a {
    index.iter().zip(weight).map(|(&i, &w)| (isize::from(i).cast_unsigned(), w))
}
