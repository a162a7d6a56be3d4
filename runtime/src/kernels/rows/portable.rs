//! Row operators in plain Rust that any target runs well.

use super::reference::{floor_mean, norm_unit};
use super::{Embedding, HEADER, RowNorm, quantize, side_by_side};
use crate::fixed::{CommonShift, sat32};

/// Words of scratch memory that [`row_norm`] needs.
pub fn row_norm_scratch_len(p: &RowNorm) -> usize {
    p.len
}

/// See [`super::reference::row_norm`].
#[inline(always)]
pub fn row_norm(p: &RowNorm, x: &[i32], gamma: &[i16], out: &mut [i16], products: &mut [i32]) -> Option<()> {
    let products = products.get_mut(..p.len)?;
    let rows = side_by_side((x, p.len), (out, p.len.checked_add(HEADER)?));
    for (x, out) in rows {
        let mean = if p.centred { floor_mean(x, p.len) } else { 0 };
        let centred = |x: i32| if mean == 0 { x } else { sat32(i64::from(x) - i64::from(mean)) };
        // As many bits as the largest has.
        let bits = x.iter().fold(0, |bits: u32, &x| bits | centred(x).unsigned_abs());
        let s = (32 - bits.leading_zeros()).saturating_sub(15);
        let elements = products.iter_mut().zip(x).zip(gamma);
        let squares = match (s, mean) {
            (0, _) => shifted(elements, |x| centred(x).clamp(-32_767, 32_767)),
            // Halves up without overflow.
            (_, 0) => shifted(elements, |x| (((x >> (s - 1)) + 1) >> 1).clamp(-32_767, 32_767)),
            _ => shifted(elements, |x| (((centred(x) >> (s - 1)) + 1) >> 1).clamp(-32_767, 32_767)),
        };
        let energy = squares + (u64::from(p.epsilon) >> (2 * s));
        quantize(products, norm_unit(p.factor, energy), p.bits, out)?;
    }
    Some(())
}

/// Gives each product of a shifted element and its γ, and the sum of the squares.
#[inline(always)]
fn shifted<'x>(elements: impl Iterator<Item = ((&'x mut i32, &'x i32), &'x i16)>, shift: impl Fn(i32) -> i32) -> u64 {
    elements.fold(0_i64, |squares, ((product, &x), &gamma)| {
        let h = shift(x);
        *product = h * i32::from(gamma);
        squares + i64::from(h) * i64::from(h)
    }) as u64
}

/// See [`super::reference::embedding`].
pub fn embedding(p: &Embedding, ids: &[i32], w: &[u8], mult: &[i32], out: &mut [i32]) -> Option<()> {
    for (&id, out) in ids.iter().zip(out.chunks_exact_mut(p.len.max(1))) {
        let id = usize::try_from(id).ok().filter(|&id| id < p.vocabulary)?;
        let (mult, common) = (*mult.get(id)?, CommonShift::of(p.shift.into(), 128));
        let start = id.checked_mul(p.len)?;
        for (out, &w) in out.iter_mut().zip(w.get(start..start.checked_add(p.len)?)?) {
            *out = common.requantize((w as i8).into(), mult);
        }
    }
    Some(())
}

/// See [`super::reference::argmax`].
pub fn argmax(len: usize, x: &[i32], out: &mut [i32]) -> Option<()> {
    for (x, out) in x.chunks_exact(len.max(1)).zip(out) {
        let mut best = (0, *x.first()?);
        for (i, &value) in (0_i32..).zip(x) {
            if value > best.1 {
                best = (i, value);
            }
        }
        *out = best.0;
    }
    Some(())
}
