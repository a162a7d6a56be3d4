//! Comparison, logic and choice in plain Rust that any target runs well.

use core::iter::repeat;

use super::{Compare, Logic, Select};
use crate::kernels::nest::{Axis, Nest, axes, elements};

/// See [`super::reference::compare`].
pub fn compare<T: Copy + Into<i64>>(p: &Compare, a: &[T], b: &[T], out: &mut [i8]) -> Option<()> {
    // Products of 33 and 31 bits: exact.
    let scaled = |x: T, zero: i32, mult: i32| x.into().wrapping_sub(zero.into()).wrapping_mul(mult.into());
    rows([(p.shape.a, a.len()), (p.shape.b, b.len())], p.shape.out, out, |out, [a_row, b_row]| {
        let operands = a_row.of(a)?.zip(b_row.of(b)?);
        for (y, (a, b)) in out.iter_mut().zip(operands) {
            let (a, b) = (scaled(a, p.a.zero_point, p.a.mult), scaled(b, p.b.zero_point, p.b.mult));
            *y = p.relation.holds(a, b).into();
        }
        Some(())
    })
}

/// See [`super::reference::logic`].
pub fn logic(p: &Logic, a: &[i8], b: &[i8], out: &mut [i8]) -> Option<()> {
    rows([(p.shape.a, a.len()), (p.shape.b, b.len())], p.shape.out, out, |out, [a_row, b_row]| {
        for (y, (a, b)) in out.iter_mut().zip(a_row.of(a)?.zip(b_row.of(b)?)) {
            *y = p.connective.of(a != 0, b != 0).into();
        }
        Some(())
    })
}

/// See [`super::reference::select`].
pub fn select<T: Copy>(p: &Select, condition: &[i8], a: &[T], b: &[T], out: &mut [T]) -> Option<()> {
    let [c_shape, a_shape, b_shape] = p.shapes;
    let operands = [(c_shape, condition.len()), (a_shape, a.len()), (b_shape, b.len())];
    rows(operands, p.out, out, |out, [c_row, a_row, b_row]| {
        let operands = c_row.of(condition)?.zip(a_row.of(a)?).zip(b_row.of(b)?);
        for (y, ((condition, a), b)) in out.iter_mut().zip(operands) {
            *y = if condition != 0 { a } else { b };
        }
        Some(())
    })
}

/// A row of an operand: where it begins, and whether one value is repeated along it.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Row {
    at: usize,
    stride: usize,
}

impl Row {
    /// The values of the row, without end if one is repeated.
    #[inline(always)]
    pub(in crate::kernels) fn of<T: Copy>(self, x: &[T]) -> Option<impl Iterator<Item = T>> {
        let rest = x.get(self.at..)?;
        let stride = self.stride;
        Some((0..usize::MAX).map_while(move |k| rest.get(k.wrapping_mul(stride)).copied()))
    }
}

/// Calls `f` with each row of the result and the rows of `N` operands, given by shape and length, that belong to it.
#[inline(always)]
pub(in crate::kernels) fn rows<T, const N: usize>(
    operands: [(&[u32], usize); N],
    out_shape: &[u32],
    out: &mut [T],
    mut f: impl FnMut(&mut [T], [Row; N]) -> Option<()>,
) -> Option<()> {
    let fits = operands.iter().all(|&(shape, len)| elements(shape) == Some(len));
    if !fits || elements(out_shape) != Some(out.len()) {
        return None;
    }
    let mut strides =
        operands.map(|(shape, _)| axes(shape).map(|(len, stride)| if len == 1 { 0 } else { stride }).chain(repeat(0)));
    let loops = axes(out_shape).map(|(len, _)| {
        let stride = strides.each_mut().map(|strides| strides.next().unwrap_or(0));
        Axis { len, stride }
    });
    let nest = Nest::new(loops)?;
    let Axis { len, stride } = nest.row();
    for (out, at) in out.chunks_exact_mut(len.max(1)).zip(nest.rows([0; N])) {
        let mut rows = [Row { at: 0, stride: 0 }; N];
        for ((row, at), stride) in rows.iter_mut().zip(at).zip(stride) {
            *row = Row { at: usize::try_from(at).ok()?, stride: usize::try_from(stride).ok()? };
        }
        f(out, rows)?;
    }
    Some(())
}
