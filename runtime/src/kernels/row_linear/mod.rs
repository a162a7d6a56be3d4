//! Matrix products of narrow rows (see [`super::rows`]) and weights of 8, 4 or 2 bits, and what follows on them.

pub(crate) mod drive;
pub mod dsp;
mod epilogue;
mod fours;
pub mod lanes;
pub mod portable;
pub mod quads;
pub mod reference;
#[cfg(test)]
mod tests;
#[cfg(test)]
use crate::arch::row_linear as native;

pub use epilogue::{Activation, GATE_LEN};

use crate::fixed::{CommonShift, RowScale};

/// A weight matrix `(outputs, inputs)`.
///
/// `real w[o,i] = value(o,i) · scale[o, i / group] · mult[o] / 2^shift`; without groups the middle factor is 1.
#[derive(Debug, Clone, Copy)]
pub struct Weights<'a> {
    /// Bits of a weight: 8, 4 or 2. Values: `[-128, 127]`; `q − 8`; `2q − 3`, q unsigned. Lower bits of a byte come
    /// first.
    pub bits: u32,
    /// Elements of a row, a multiple of `32 / bits` and of `group`.
    pub inputs: usize,
    /// Number of rows.
    pub outputs: usize,
    /// Inputs that share a scale, a multiple of 16; 0: a whole row does.
    pub group: usize,
    /// `(outputs, inputs · bits / 8)`
    pub data: &'a [u8],
    /// `(outputs, inputs / group)`, empty without groups.
    pub scales: &'a [i8],
    /// `(outputs)`: in `[1, 2^27)`.
    pub mult: &'a [i32],
    /// One for all outputs.
    pub shift: u8,
    /// `(outputs)` wide, or empty.
    pub bias: &'a [i32],
}

impl<'a> Weights<'a> {
    /// Bytes of a row.
    pub fn row_bytes(&self) -> usize {
        self.inputs.saturating_mul(self.bits as usize) / 8
    }

    /// 16-bit values of scratch memory that the row operators need, whatever the variant: a row in the order of [`lanes`],
    /// and a sum for each group.
    pub fn halves(&self) -> usize {
        self.inputs.saturating_add(self.groups().saturating_mul(2))
    }

    /// Groups in a row, at least 1.
    pub fn groups(&self) -> usize {
        self.inputs.checked_div(self.group).unwrap_or(1).max(1)
    }

    /// Significand of the factor and bias of each output.
    #[inline(always)]
    pub fn factors(&self) -> impl Iterator<Item = (i32, i32)> + use<'a> {
        let mut bias = self.bias.iter();
        self.mult.iter().map(move |&mult| (mult, bias.next().copied().unwrap_or(0)))
    }
}

/// Parameters of [`reference::mlp_up`].
#[derive(Debug, Clone, Copy)]
pub struct MlpUp<'a> {
    /// The activation function.
    pub activation: Activation<'a>,
    /// Whether rows 2j and 2j + 1 of the weights are gate and value of result j; otherwise row j is its only one.
    pub gated: bool,
    /// Bits of the narrow row.
    pub bits: u32,
}

/// A wide value: `requantize_scaled(acc, mult·mant / 2^(shift + row shift)) + bias`, saturating.
#[inline(always)]
pub(crate) fn wide(acc: i32, (row, common): (RowScale, CommonShift), (mult, bias): (i32, i32)) -> i32 {
    common.requantize(acc, row.times(mult, 0).mult).saturating_add(bias)
}

/// [`scaled`] for these integers: where the bound for 16 bits is too large for high words of products, theirs may not be.
#[inline(always)]
fn scaled_for(row: RowScale, w: &Weights, x: &[i16]) -> (RowScale, CommonShift) {
    let (row, common) = scaled(row, w);
    if common.high().is_some() {
        return (row, common);
    }
    // No product is larger than the largest weight times each; a row has at most 2^16.
    let sum = x.iter().fold(0, |sum: u32, &x| sum.wrapping_add(x.unsigned_abs().into()));
    let weight = match w.bits {
        8 => 1 << 7,
        4 => 1 << 3,
        _ => 3,
    };
    let scale = if w.group == 0 { 1 } else { 1 << 7 };
    let bound = sum.saturating_mul(weight * scale);
    (row, CommonShift::of(row.times(1, w.shift).shift, bound.min(1 << 31)))
}

/// What [`wide`] needs of a row.
#[inline(always)]
pub(crate) fn scaled(row: RowScale, w: &Weights) -> (RowScale, CommonShift) {
    // Of at most 2^7 · 2^15 each without groups; checks keep any sum in 32 bits.
    let largest = if w.group == 0 { w.inputs.saturating_mul(1 << 22).min(1 << 31) as u32 } else { 1 << 31 };
    (row, CommonShift::of(row.times(1, w.shift).shift, largest))
}
