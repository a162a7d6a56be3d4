//! Orderings in plain Rust that any target runs well.

use super::{Along, ArgExtreme, Extreme, TopK, ahead};
use crate::kernels::nest::{Axis, Nest};
use crate::kernels::rows::side_by_side;

/// See [`super::reference::arg_extreme`].
pub fn arg_extreme<T: Copy + Ord>(p: &ArgExtreme, x: &[T], out: &mut [i32]) -> Option<()> {
    each_line(&p.along, x, 1, out, |line, mut places| {
        let mut best = (line.clone().next()?, 0_i32);
        for (i, value) in (0_i32..).zip(line) {
            if ahead(p.largest, value, best.0) || (p.last && value == best.0) {
                best = (value, i);
            }
        }
        *places.next()? = best.1;
        Some(())
    })
}

/// See [`super::reference::top_k`].
///
/// Selects the next element after the one found last, k times: no memory but the result.
pub fn top_k<T: Copy + Ord>(p: &TopK, x: &[T], out: &mut [i32]) -> Option<()> {
    each_line(&p.along, x, p.k, out, |line, places| {
        let mut last: Option<(T, i32)> = None;
        for place in places {
            let mut next: Option<(T, i32)> = None;
            for (i, value) in (0_i32..).zip(line.clone()) {
                let behind_last = last.is_none_or(|(v, at)| ahead(p.largest, v, value) || (v == value && i > at));
                if behind_last && next.is_none_or(|(v, _)| ahead(p.largest, value, v)) {
                    next = Some((value, i));
                }
            }
            *place = next?.1;
            last = next;
        }
        Some(())
    })
}

/// Calls `f` with the elements along the axis and the `count` results that belong to them, line by line.
#[inline(always)]
fn each_line<'x, T: Copy, F>(along: &Along, x: &'x [T], count: usize, out: &mut [i32], mut f: F) -> Option<()>
where
    F: FnMut(
        core::iter::Copied<core::iter::StepBy<core::slice::Iter<'x, T>>>,
        core::iter::StepBy<core::slice::IterMut<'_, i32>>,
    ) -> Option<()>,
{
    let (from, to) = (along.len.checked_mul(along.inner)?, count.checked_mul(along.inner)?);
    let fits = along.outer.checked_mul(from) == Some(x.len()) && along.outer.checked_mul(to) == Some(out.len());
    if !fits || from == 0 || to == 0 {
        return None;
    }
    let inner = along.inner.max(1);
    for (x, out) in side_by_side((x, from), (out, to)) {
        for j in 0..along.inner {
            f(x.get(j..)?.iter().step_by(inner).copied(), out.get_mut(j..)?.iter_mut().step_by(inner))?;
        }
    }
    Some(())
}

/// See [`super::reference::extreme`]: the input is read once, in order.
pub fn extreme<T: Copy + Ord>(p: &Extreme, x: &[T], out: &mut [T]) -> Option<()> {
    let better = |a: T, b: T| if p.largest { a.max(b) } else { a.min(b) };
    // Starts from an element that counts to the result: the first one that comes.
    let nest = Nest::new(loops(p))?;
    let Axis { len, stride } = nest.row();
    if len == 0 || !x.len().is_multiple_of(len) {
        return None;
    }
    let extreme = if p.largest { x.iter().min() } else { x.iter().max() };
    out.fill(*extreme?);
    for (row, [at]) in x.chunks_exact(len).zip(nest.rows([0])) {
        let out = out.get_mut(usize::try_from(at).ok()?..)?;
        if stride == [0] {
            let value = out.first_mut()?;
            *value = row.iter().fold(*value, |value, &x| better(value, x));
        } else {
            for (value, &x) in out.get_mut(..len)?.iter_mut().zip(row) {
                *value = better(*value, x);
            }
        }
    }
    Some(())
}

/// The axes of the input, innermost first, with the strides of the output: 0 along a reduced axis.
fn loops(p: &Extreme) -> impl Iterator<Item = Axis<1>> {
    p.shape.iter().enumerate().rev().scan(1_isize, |next, (axis, &dim)| {
        let stride = if p.reduces(axis) { 0 } else { *next };
        if stride != 0 {
            *next = next.wrapping_mul(dim as isize);
        }
        Some(Axis { len: dim as usize, stride: [stride] })
    })
}
