//! Reductions in plain Rust that any target runs well.

use super::Reduce;
use crate::kernels::nest::{Axis, Nest};
use crate::kernels::{Accumulator, Element};

/// Bytes of scratch memory that [`reduce`] needs: a sum an output.
pub fn reduce_scratch_len<E: Element>(p: &Reduce<E>) -> Option<usize> {
    p.out_len()?.checked_mul(size_of::<E::Sum>())
}

/// See [`super::reference::reduce`].
///
/// The input is read once, in order, by rows of neighbouring axes that are all reduced or all kept: a row counts to one
/// sum, or to as many sums as it is long. The sums of all outputs stand in `sums`.
pub fn reduce<E: Element>(p: &Reduce<E>, x: &[E], out: &mut [E], sums: &mut [E::Sum]) -> Option<()> {
    let sums = sums.get_mut(..p.out_len()?)?;
    // Σ (x − z) = Σ x − n·z. The terms may wrap: the result is in range.
    let count = i32::try_from(x.len().checked_div(sums.len())?).ok()?;
    sums.fill(E::Sum::default().plus_product(p.in_zero_point, count.wrapping_neg()));
    let nest = Nest::new(loops(p))?;
    let Axis { len, stride } = nest.row();
    for (row, [at]) in x.chunks_exact(len.max(1)).zip(nest.rows([0])) {
        let sums = sums.get_mut(usize::try_from(at).ok()?..)?;
        if stride == [0] {
            let sum = sums.first_mut()?;
            *sum = row.iter().fold(*sum, |sum, &value| sum.plus(value.widen()));
        } else {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum = sum.plus(value.widen());
            }
        }
    }
    for (value, &sum) in out.iter_mut().zip(sums.iter()) {
        *value = p.output.finish(sum.requantize(p.factor));
    }
    Some(())
}

/// The axes of the input, innermost first, with the strides of the output: 0 along a reduced axis.
fn loops<E: Element>(p: &Reduce<E>) -> impl Iterator<Item = Axis<1>> {
    p.shape.iter().enumerate().rev().scan(1_isize, |next, (axis, &dim)| {
        let stride = if p.reduces(axis) { 0 } else { *next };
        if stride != 0 {
            *next = next.wrapping_mul(dim as isize);
        }
        Some(Axis { len: dim as usize, stride: [stride] })
    })
}
