//! Normalisation in plain Rust that any target runs well.

use super::{Moments, Normalize};
use crate::fixed::Inverse;
use crate::kernels::Element;
use crate::kernels::nest::{Axis, Nest};

/// Bytes of scratch memory that [`normalize`] needs: two sums a mean.
pub fn normalize_scratch_len<E: Element>(p: &Normalize<E>) -> Option<usize> {
    p.groups()?.checked_mul(size_of::<[i64; 2]>())
}

/// See [`super::reference::normalize`].
///
/// The input is read in order, twice: once for the sums, which stand in `sums` and give way to mean and inverse, and
/// once to be normalised.
pub fn normalize<E: Element>(p: &Normalize<E>, x: &[E], out: &mut [E], sums: &mut [[i64; 2]]) -> Option<()> {
    let sums = sums.get_mut(..p.groups()?)?;
    let count = u32::try_from(x.len().checked_div(sums.len())?).ok()?;
    sums.fill([0; 2]);
    let nest = Nest::new(loops(p))?;
    let Axis { len, stride: [stride] } = nest.row();
    let add = |[sum, squares]: &mut [i64; 2], x: &E| {
        let d = i64::from(x.widen().wrapping_sub(p.in_zero_point));
        *sum = sum.wrapping_add(d);
        *squares = squares.wrapping_add(d.wrapping_mul(d));
    };
    for (row, [at]) in x.chunks_exact(len.max(1)).zip(nest.rows([0])) {
        let sums = sums.get_mut(usize::try_from(at).ok()?..)?;
        if stride == 0 {
            let sum = sums.first_mut()?;
            row.iter().for_each(|x| add(sum, x));
        } else {
            sums.iter_mut().zip(row).for_each(|(sum, x)| add(sum, x));
        }
    }
    for group in sums.iter_mut() {
        *group = pack(p.moments(count, group[0], group[1].cast_unsigned()));
    }
    let mut factors = p.scale.iter().zip(p.bias).cycle();
    let rows = out.chunks_exact_mut(len.max(1)).zip(x.chunks_exact(len.max(1)));
    for ((out, row), [at]) in rows.zip(nest.rows([0])) {
        let groups = sums.get(usize::try_from(at).ok()?..)?;
        let values = out.iter_mut().zip(row);
        let mut finish = |moments: Moments, y: &mut E, x: &E| -> Option<()> {
            let (&scale, &bias) = factors.next()?;
            *y = p.finish(moments, x.widen().wrapping_sub(p.in_zero_point), scale, bias);
            Some(())
        };
        if stride == 0 {
            let moments = unpack(*groups.first()?);
            for (y, x) in values {
                finish(moments, y, x)?;
            }
        } else {
            for ((y, x), group) in values.zip(groups) {
                finish(unpack(*group), y, x)?;
            }
        }
    }
    Some(())
}

/// The axes, innermost first, with the strides of the means: 0 along a reduced axis.
fn loops<E: Element>(p: &Normalize<E>) -> impl Iterator<Item = Axis<1>> {
    p.shape.iter().enumerate().rev().scan(1_isize, |next, (axis, &dim)| {
        let stride = if p.reduces(axis) { 0 } else { *next };
        if stride != 0 {
            *next = next.wrapping_mul(dim as isize);
        }
        Some(Axis { len: dim as usize, stride: [stride] })
    })
}

fn pack(m: Moments) -> [i64; 2] {
    [i64::from(m.mean), i64::from(m.inverse.mult) | i64::from(m.inverse.shift) << 32]
}

fn unpack([mean, inverse]: [i64; 2]) -> Moments {
    Moments { mean: mean as i32, inverse: Inverse { mult: inverse as u32, shift: (inverse >> 32) as u32 } }
}
