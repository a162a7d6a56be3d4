//! Reductions in plain Rust that any target runs well.

use super::Reduce;
use crate::fixed::requantize;
use crate::kernels::nest::{Axis, Nest};

/// Bytes of scratch memory that [`reduce_s8`] needs: a sum an output.
pub fn reduce_s8_scratch_len(p: &Reduce) -> Option<usize> {
    p.out_len()?.checked_mul(size_of::<i32>())
}

/// See [`super::reference::reduce_s8`].
///
/// The input is read once, in order, by rows of neighbouring axes that are all reduced or all kept: a row counts to one
/// sum, or to as many sums as it is long. The sums of all outputs stand in `sums`.
pub fn reduce_s8(p: &Reduce, x: &[i8], out: &mut [i8], sums: &mut [i32]) -> Option<()> {
    let sums = sums.get_mut(..p.out_len()?)?;
    // Σ (x − z) = Σ x − n·z. The terms may wrap: the result is below 2^31.
    let count = i32::try_from(x.len().checked_div(sums.len())?).ok()?;
    sums.fill(p.in_zero_point.wrapping_mul(count).wrapping_neg());
    let nest = Nest::new(loops(p))?;
    let Axis { len, stride } = nest.row();
    for (row, [at]) in x.chunks_exact(len.max(1)).zip(nest.rows([0])) {
        let sums = sums.get_mut(usize::try_from(at).ok()?..)?;
        if stride == [0] {
            let sum = sums.first_mut()?;
            *sum = row.iter().fold(*sum, |sum, &value| sum.wrapping_add(value.into()));
        } else {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum = sum.wrapping_add(value.into());
            }
        }
    }
    for (value, &sum) in out.iter_mut().zip(sums.iter()) {
        *value = p.output.finish(requantize(sum, p.factor));
    }
    Some(())
}

/// The axes of the input, innermost first, with the strides of the output: 0 along a reduced axis.
fn loops(p: &Reduce) -> impl Iterator<Item = Axis<1>> {
    p.shape.iter().enumerate().rev().scan(1_isize, |next, (axis, &dim)| {
        let stride = if p.reduces(axis) { 0 } else { *next };
        if stride != 0 {
            *next = next.wrapping_mul(dim as isize);
        }
        Some(Axis { len: dim as usize, stride: [stride] })
    })
}
