//! Softmax in plain Rust that any target runs well.

use super::Softmax;
use crate::fixed::{exp_neg_scaled, rounding_divide};
use crate::kernels::Element;

/// Bytes of scratch memory that [`softmax`] needs: an exponential an element of a row.
pub fn softmax_scratch_len(p: &Softmax) -> Option<usize> {
    p.row_len.checked_mul(size_of::<i32>())
}

/// See [`super::reference::softmax`]; the exponentials of a row are computed once and kept in `exponentials`.
pub fn softmax<E: Element>(p: &Softmax, x: &[E], out: &mut [E], exponentials: &mut [i32]) -> Option<()> {
    let exponentials = exponentials.get_mut(..p.row_len)?;
    let rows = x.chunks_exact(p.row_len.max(1)).zip(out.chunks_exact_mut(p.row_len.max(1)));
    for (row, out) in rows {
        let max = row.iter().copied().max()?;
        let mut sum = 0_u64;
        for (e, &x) in exponentials.iter_mut().zip(row) {
            *e = exp_neg_scaled(max.widen().abs_diff(x.widen()), p.multiplier, p.shift);
            sum = sum.wrapping_add(u64::from(e.unsigned_abs()));
        }
        for (out, e) in out.iter_mut().zip(exponentials.iter()) {
            let probability = rounding_divide(u64::from(e.unsigned_abs()) << E::UNIT_BITS, sum);
            *out = E::saturate((probability as i32).wrapping_add(E::UNIT_ZERO));
        }
    }
    Some(())
}
