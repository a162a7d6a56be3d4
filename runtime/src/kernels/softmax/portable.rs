//! Softmax in plain Rust that any target runs well.

use super::Softmax;
use crate::fixed::{clamp_s8, exp_neg, rounding_divide};

/// Bytes of scratch memory that [`softmax_s8`] needs: an exponential an element of a row.
pub fn softmax_s8_scratch_len(p: &Softmax) -> Option<usize> {
    p.row_len.checked_mul(size_of::<i32>())
}

/// See [`super::reference::softmax_s8`]; the exponentials of a row are computed once and kept in `exponentials`.
pub fn softmax_s8(p: &Softmax, x: &[i8], out: &mut [i8], exponentials: &mut [i32]) -> Option<()> {
    let exponentials = exponentials.get_mut(..p.row_len)?;
    let rows = x.chunks_exact(p.row_len.max(1)).zip(out.chunks_exact_mut(p.row_len.max(1)));
    for (row, out) in rows {
        let max = row.iter().copied().max()?;
        let mut sum = 0_u64;
        for (e, &x) in exponentials.iter_mut().zip(row) {
            *e = exp_neg(u32::from(max.abs_diff(x)).saturating_mul(p.multiplier));
            sum = sum.wrapping_add(u64::from(e.unsigned_abs()));
        }
        for (out, e) in out.iter_mut().zip(exponentials.iter()) {
            let probability = rounding_divide(u64::from(e.unsigned_abs()) << 8, sum);
            *out = clamp_s8((probability as i32).wrapping_sub(128), i8::MIN, i8::MAX);
        }
    }
    Some(())
}
