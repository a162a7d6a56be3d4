//! Elementwise operators in plain Rust that any target runs well.

use super::{Add, Broadcast, Clamp, Mul, Requantize, Table};
use crate::fixed::{requantize, rounding_shift_right};
use crate::kernels::nest::{Axis, Nest, axes, elements};
use crate::kernels::{Binary, Unary};

/// See [`super::reference::add_s8`].
///
/// The zero points' share of the sum is computed once.
pub fn add_s8(p: &Add, operands: Binary<'_, i8>) -> Option<()> {
    // Within the documented ranges no partial sum exceeds 2^30.
    let share = |zero_point: i32, mult: i32| zero_point.wrapping_mul(mult);
    let zero = share(p.a.zero_point, p.a.mult).wrapping_add(share(p.b.zero_point, p.b.mult));
    broadcast(&p.shape, operands, |a, b| {
        let a = i32::from(a).wrapping_mul(p.a.mult).wrapping_sub(zero);
        let sum = i32::from(b).wrapping_mul(p.b.mult).wrapping_add(a);
        p.output.finish(rounding_shift_right(sum, p.shift))
    })
}

/// See [`super::reference::mul_s8`].
pub fn mul_s8(p: &Mul, operands: Binary<'_, i8>) -> Option<()> {
    let [a_zero, b_zero] = p.zero_points;
    broadcast(&p.shape, operands, |a, b| {
        let (a, b) = (i32::from(a).wrapping_sub(a_zero), i32::from(b).wrapping_sub(b_zero));
        p.output.finish(requantize(a.wrapping_mul(b), p.multiplier))
    })
}

/// See [`super::reference::maximum_s8`].
pub fn maximum_s8(shape: &Broadcast, operands: Binary<'_, i8>) -> Option<()> {
    broadcast(shape, operands, i8::max)
}

/// See [`super::reference::clamp_s8`].
pub fn clamp_s8(p: &Clamp, operands: Unary<'_, i8>) -> Option<()> {
    operands.map(|x| x.min(p.max).max(p.min))
}

/// See [`super::reference::table_s8`].
pub fn table_s8(table: &Table, operands: Unary<'_, i8>) -> Option<()> {
    // x + 128 in 0..=255: always found, and the compiler knows it.
    operands.map(|x| table.get(usize::from(x.cast_unsigned() ^ 0x80)).copied().unwrap_or(0))
}

/// See [`super::reference::requantize_s8`].
pub fn requantize_s8(p: &Requantize, operands: Unary<'_, i8>) -> Option<()> {
    operands.map(|x| p.output.finish(requantize(i32::from(x).wrapping_sub(p.zero_point), p.multiplier)))
}

/// An operand along one row of the result.
enum Row<'a> {
    /// A value for each element.
    Each(&'a [i8]),
    /// One value for all of them.
    All(i8),
    /// What stands where the result goes.
    InPlace,
}

/// `f` of the operands of each element.
///
/// Works row by row of the innermost loop, in which an operand is either read in order or constant: operands of the
/// same shape, and a scalar, make a single row; a vector of channels is read in full for each pixel.
#[inline(always)]
fn broadcast(shape: &Broadcast, operands: Binary<'_, i8>, f: impl Fn(i8, i8) -> i8) -> Option<()> {
    let (a, b, y) = operands.parts();
    // An operand of which the output takes the place has as many elements, so that it is not repeated.
    let fits = |x: Option<&[i8]>, shape| elements(shape) == Some(x.map_or(y.len(), <[i8]>::len));
    if !(fits(a, shape.a) && fits(b, shape.b) && fits(None, shape.out)) {
        return None;
    }
    let strides =
        |shape| axes(shape).map(|(len, stride)| if len == 1 { 0 } else { stride }).chain(core::iter::repeat(0));
    let loops = axes(shape.out).zip(strides(shape.a).zip(strides(shape.b)));
    let nest = Nest::new(loops.map(|((len, _), (a, b))| Axis { len, stride: [a, b] }))?;
    let Axis { len, stride: [a_stride, b_stride] } = nest.row();
    for (y, [a_at, b_at]) in y.chunks_exact_mut(len.max(1)).zip(nest.rows([0, 0])) {
        let (a, b) = (row(a, a_at, a_stride, y.len())?, row(b, b_at, b_stride, y.len())?);
        match (a, b) {
            (Row::Each(a), Row::Each(b)) => y.iter_mut().zip(a).zip(b).for_each(|((y, &a), &b)| *y = f(a, b)),
            (Row::Each(a), Row::All(b)) => y.iter_mut().zip(a).for_each(|(y, &a)| *y = f(a, b)),
            (Row::Each(a), Row::InPlace) => y.iter_mut().zip(a).for_each(|(y, &a)| *y = f(a, *y)),
            (Row::All(a), Row::Each(b)) => y.iter_mut().zip(b).for_each(|(y, &b)| *y = f(a, b)),
            (Row::All(a), Row::All(b)) => y.fill(f(a, b)),
            (Row::All(a), Row::InPlace) => y.iter_mut().for_each(|y| *y = f(a, *y)),
            (Row::InPlace, Row::Each(b)) => y.iter_mut().zip(b).for_each(|(y, &b)| *y = f(*y, b)),
            (Row::InPlace, Row::All(b)) => y.iter_mut().for_each(|y| *y = f(*y, b)),
            (Row::InPlace, Row::InPlace) => y.iter_mut().for_each(|y| *y = f(*y, *y)),
        }
    }
    Some(())
}

/// The `len` elements of operand `x` from `at` on, the same one again and again if `stride` is 0.
#[inline(always)]
fn row(x: Option<&[i8]>, at: isize, stride: isize, len: usize) -> Option<Row<'_>> {
    let Some(x) = x else { return Some(Row::InPlace) };
    let rest = x.get(usize::try_from(at).ok()?..)?;
    // An operand's innermost stride is 1 or, where it is repeated, 0.
    Some(if stride == 0 { Row::All(*rest.first()?) } else { Row::Each(rest.get(..len)?) })
}
