//! Reductions of squares and exponentials in plain Rust that any target runs well.

use super::reference::finish;
use super::{LogSumExp, ReduceSquare};
use crate::fixed::{exp_neg_scaled, ln, requantize_i64};
use crate::kernels::Element;
use crate::kernels::nest::{Axis, Nest};

/// Bytes of scratch memory that [`reduce_square`] needs: a sum an output.
pub fn reduce_square_scratch_len(outputs: usize) -> Option<usize> {
    outputs.checked_mul(size_of::<i64>())
}

/// See [`super::reference::reduce_square`]: the input is read once, in order; the sums stand in `sums`.
pub fn reduce_square<E: Element>(p: &ReduceSquare<E>, x: &[E], out: &mut [E], sums: &mut [i64]) -> Option<()> {
    let sums = sums.get_mut(..out.len())?;
    sums.fill(0);
    let nest = Nest::new(loops(p))?;
    let Axis { len, stride } = nest.row();
    // Below 2^17, so that the square is exact.
    let square = |x: E| {
        let x = i64::from(x.widen().wrapping_sub(p.zero_point));
        x.wrapping_mul(x)
    };
    for (row, [at]) in x.chunks_exact(len.max(1)).zip(nest.rows([0])) {
        let sums = sums.get_mut(usize::try_from(at).ok()?..)?;
        if stride == [0] {
            let sum = sums.first_mut()?;
            *sum = row.iter().fold(*sum, |sum, &x| sum.wrapping_add(square(x)));
        } else {
            for (sum, &x) in sums.iter_mut().zip(row) {
                *sum = sum.wrapping_add(square(x));
            }
        }
    }
    out.iter_mut().zip(sums).for_each(|(y, &mut sum)| *y = finish(p, sum));
    Some(())
}

/// The axes of the input, innermost first, with the strides of the output: 0 along a reduced axis.
fn loops<E>(p: &ReduceSquare<E>) -> impl Iterator<Item = Axis<1>> {
    p.shape.iter().enumerate().rev().scan(1_isize, |next, (axis, &dim)| {
        let stride = if p.reduces(axis) { 0 } else { *next };
        if stride != 0 {
            *next = next.wrapping_mul(dim as isize);
        }
        Some(Axis { len: dim as usize, stride: [stride] })
    })
}

/// See [`super::reference::log_sum_exp`].
pub fn log_sum_exp<E: Element>(p: &LogSumExp<E>, x: &[E], out: &mut [E]) -> Option<()> {
    if p.row_len.checked_mul(out.len()) != Some(x.len()) {
        return None;
    }
    for (row, out) in x.chunks_exact(p.row_len.max(1)).zip(out.iter_mut()) {
        let max = row.iter().copied().max()?.widen();
        let sum = row.iter().fold(0_u64, |sum, x| {
            let e = exp_neg_scaled(max.abs_diff(x.widen()), p.exp_mult, p.exp_shift);
            sum.wrapping_add(e.cast_unsigned().into())
        });
        // 17 and 32 bits: exact.
        let max = i64::from(max.wrapping_sub(p.zero_point)).wrapping_mul(p.exp_mult.into());
        let max = max.wrapping_shr(p.exp_shift.into());
        *out = p.output.finish(requantize_i64(max.wrapping_add(ln(sum).into()), p.multiplier));
    }
    Some(())
}
