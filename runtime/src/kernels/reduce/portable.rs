//! Reductions in plain Rust that any target runs well.

use super::Reduce;
use crate::fixed::requantize;

/// Bytes of scratch memory that [`reduce_s8`] needs: a sum an output.
pub fn reduce_s8_scratch_len(p: &Reduce) -> Option<usize> {
    p.out_len()?.checked_mul(size_of::<i32>())
}

/// See [`super::reference::reduce_s8`]. The input is read once, in order; the sums of all outputs stand in `sums`.
pub fn reduce_s8(p: &Reduce, x: &[i8], out: &mut [i8], sums: &mut [i32]) -> Option<()> {
    let sums = sums.get_mut(..p.out_len()?)?;
    sums.fill(0);
    add_axis(p, 0, x, sums)?;
    for (value, &sum) in out.iter_mut().zip(sums.iter()) {
        *value = p.output.finish(requantize(sum, p.factor));
    }
    Some(())
}

/// Adds the elements `x`, which have the axes from `axis` on, to their `sums`.
fn add_axis(p: &Reduce, axis: usize, x: &[i8], sums: &mut [i32]) -> Option<()> {
    let Some(&len) = p.shape.get(axis) else {
        // No axis is left: one element, one sum.
        return add(p, x, sums);
    };
    let all_kept = (axis..p.shape.len()).all(|a| !p.reduces(a));
    let all_reduced = (axis..p.shape.len()).all(|a| p.reduces(a));
    if all_kept {
        return add(p, x, sums);
    }
    if all_reduced {
        let sum = sums.first_mut()?;
        *sum = x.iter().fold(*sum, |sum, &v| sum.wrapping_add(i32::from(v).wrapping_sub(p.in_zero_point)));
        return Some(());
    }
    let len = usize::try_from(len).ok()?.max(1);
    let step = x.len().checked_div(len)?.max(1);
    if p.reduces(axis) {
        x.chunks_exact(step).try_for_each(|x| add_axis(p, axis.wrapping_add(1), x, sums))
    } else {
        let out_step = sums.len().checked_div(len)?.max(1);
        let parts = x.chunks_exact(step).zip(sums.chunks_exact_mut(out_step));
        parts.into_iter().try_for_each(|(x, sums)| add_axis(p, axis.wrapping_add(1), x, sums))
    }
}

#[inline(always)]
fn add(p: &Reduce, x: &[i8], sums: &mut [i32]) -> Option<()> {
    for (sum, &value) in sums.iter_mut().zip(x) {
        *sum = sum.wrapping_add(i32::from(value).wrapping_sub(p.in_zero_point));
    }
    Some(())
}
