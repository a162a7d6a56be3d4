//! Rows of language models, in two forms.
//!
//! * **Wide**: i32 in Q15.16 ([`WIDE_FRACTION_BITS`]), saturating: the residual stream, projections, logits.
//! * **Narrow**: what matrix products read. `2 + n` values of i16: the mantissa and the shift of the row's
//!   [`RowScale`], then n integers of `bits` bits, `|q| < 2^(bits − 1)`; `real = q · mant / 2^shift`.
//!
//! With 16 bits a narrow row is as good as exact; with 8 it is what engines with int8 products read.

pub mod portable;
pub mod reference;
#[cfg(test)]
mod tests;

use crate::fixed::{CommonShift, Factor, HighShift, RowScale};

/// Fraction bits of wide rows.
pub const WIDE_FRACTION_BITS: u32 = 16;
/// One step of a wide row.
pub const WIDE_UNIT: Factor = Factor { mult: 1 << 30, shift: 30 + WIDE_FRACTION_BITS as i32 };
/// Values of a narrow row before its integers: mantissa and shift of its scale.
pub const HEADER: usize = 2;

/// Parameters of [`reference::row_norm`].
#[derive(Debug, Clone, Copy)]
pub struct RowNorm {
    /// Elements of a row.
    pub len: usize,
    /// Whether the mean is subtracted: LayerNorm instead of RMSNorm.
    pub centred: bool,
    /// `round(ε · len · 2^32)`.
    pub epsilon: u32,
    /// `√len / 2^gamma_shift` where `γ = gamma / 2^gamma_shift`; significand at least 2^30.
    pub factor: Factor,
    /// Bits of the narrow row, in `[2, 16]`.
    pub bits: u32,
}

/// Parameters of [`reference::embedding`].
#[derive(Debug, Clone, Copy)]
pub struct Embedding {
    /// Number of rows in the table.
    pub vocabulary: usize,
    /// Elements of a row.
    pub len: usize,
    /// A row's scale is `mult / 2^shift`.
    pub shift: u8,
}

/// The scale of a narrow row and its integers; `None` if it has no header.
#[inline(always)]
pub fn split(row: &[i16]) -> Option<(RowScale, &[i16])> {
    let (&[mant, shift], values) = row.split_first_chunk::<HEADER>()?;
    Some((RowScale { mant: mant.into(), shift: shift.into() }, values))
}

/// Quantizes `values`, in steps of `unit` (`mult ≥ 2^30`), to a narrow row of `bits` bits. `row` may be longer: the rest
/// becomes zeros.
///
/// `q[i] = clamp(requantize_scaled(v[i], scale.quantizer(unit)), ±(2^(bits−1) − 1))` with
/// `scale = RowScale::holding(max |v|, unit, bits)`
///
/// * error: at most ½ + 2^-12 steps of the row, 1 step for the largest
#[inline(always)]
pub fn quantize(values: &[i32], unit: Factor, bits: u32, row: &mut [i16]) -> Option<()> {
    let (header, out) = row.split_first_chunk_mut::<HEADER>()?;
    let max = values.iter().fold(0_u32, |max, v| max.max(v.unsigned_abs()));
    let scale = RowScale::holding(max, unit, bits);
    let factor = scale.quantizer(unit);
    *header = [scale.mant as i16, scale.shift.clamp(i16::MIN.into(), i16::MAX.into()) as i16];
    let common = CommonShift::of(factor.shift, max);
    let limit = (1_i32 << (bits.clamp(2, 16) - 1)) - 1;
    let (quantized, tail) = out.split_at_mut_checked(values.len())?;
    // Rounding is monotonic: where the largest does not saturate, nothing does.
    let unclamped = |high: &HighShift| {
        let ends = i32::try_from(max).map(|max| [max, -max].map(|v| high.requantize(v, factor.mult)));
        ends.is_ok_and(|[high, low]| high <= limit && low >= -limit)
    };
    match common.high().filter(unclamped) {
        Some(high) => {
            for (q, &v) in quantized.iter_mut().zip(values) {
                *q = high.requantize(v, factor.mult) as i16;
            }
        }
        None => {
            for (q, &v) in quantized.iter_mut().zip(values) {
                *q = common.requantize(v, factor.mult).max(-limit).min(limit) as i16;
            }
        }
    }
    tail.fill(0);
    Some(())
}

/// Rows of two slices side by side, of so many elements each, as far as both have them. Plain zipped chunks would link a
/// division whose divisor the compiler cannot see.
#[inline(always)]
pub(crate) fn side_by_side<'x, 'y, X, Y>(
    (x, x_len): (&'x [X], usize),
    (y, y_len): (&'y mut [Y], usize),
) -> impl Iterator<Item = (&'x [X], &'y mut [Y])> {
    let mut x = x.chunks_exact(x_len.max(1));
    y.chunks_exact_mut(y_len.max(1)).map_while(move |y| Some((x.next()?, y)))
}
