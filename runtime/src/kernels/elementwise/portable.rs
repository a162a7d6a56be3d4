//! Elementwise operators in plain Rust that any target runs well.

use super::{Add, AddTfLite, Broadcast, Clamp, Interpolated, Mul, Octaves, Requantize, Table, Term};
use crate::fixed;
use crate::kernels::nest::{Axis, Nest, axes, elements};
use crate::kernels::{Accumulator, Binary, Element, Unary};

/// See [`super::reference::add`].
///
/// The zero points' share of the sum is computed once.
#[inline(always)]
pub fn add<E: Element>(p: &Add<E>, operands: Binary<'_, E>) -> Option<()> {
    let share = |sum: E::Sum, term: &Term| sum.plus_product(term.zero_point.wrapping_neg(), term.mult);
    let zero = share(share(E::Sum::default(), &p.a), &p.b);
    broadcast(&p.shape, operands, |a: E, b: E| {
        let sum = zero.plus_product(a.widen(), p.a.mult).plus_product(b.widen(), p.b.mult);
        p.output.finish(sum.rounding_shift_right(p.shift))
    })
}

/// See [`super::reference::add_tflite`].
#[inline(always)]
pub fn add_tflite(p: &AddTfLite, operands: Binary<'_, i8>) -> Option<()> {
    let [a_zero, b_zero] = p.zero_points;
    // The signs of the operands with the larger and the smaller scale.
    let (coarse_sign, fine_sign) = match (p.difference, p.fine_first) {
        (false, _) => (1, 1),
        (true, true) => (-1, 1),
        (true, false) => (1, -1),
    };
    let ((fine, up), sum, output) = (p.fine, p.sum, p.output);
    let up = u32::from(up.min(21));
    let value = move |coarse: i32, x: i32| {
        let x = fixed::requantize_tflite(x << up, fine).wrapping_mul(fine_sign);
        output.finish(fixed::requantize_tflite(x.wrapping_add((coarse << 19).wrapping_mul(coarse_sign)), sum))
    };
    let (a_zero, b_zero) = (move |a: i8| a.widen().wrapping_sub(a_zero), move |b: i8| b.widen().wrapping_sub(b_zero));
    match p.fine_first {
        true => broadcast(&p.shape, operands, move |a: i8, b: i8| value(b_zero(b), a_zero(a))),
        false => broadcast(&p.shape, operands, move |a: i8, b: i8| value(a_zero(a), b_zero(b))),
    }
}

/// See [`super::reference::mul`].
pub fn mul<E: Element>(p: &Mul<E>, operands: Binary<'_, E>) -> Option<()> {
    let [a_zero, b_zero] = p.zero_points;
    broadcast(&p.shape, operands, |a: E, b: E| {
        let (a, b) = (a.widen().wrapping_sub(a_zero), b.widen().wrapping_sub(b_zero));
        p.output.finish(fixed::requantize(a.wrapping_mul(b), p.multiplier))
    })
}

/// See [`super::reference::maximum`].
pub fn maximum<E: Element>(shape: &Broadcast, operands: Binary<'_, E>) -> Option<()> {
    broadcast(shape, operands, E::max)
}

/// See [`super::reference::minimum`].
pub fn minimum<E: Element>(shape: &Broadcast, operands: Binary<'_, E>) -> Option<()> {
    broadcast(shape, operands, E::min)
}

/// See [`super::reference::clamp`].
pub fn clamp<E: Element>(p: &Clamp<E>, operands: Unary<'_, E>) -> Option<()> {
    operands.map(|x| x.min(p.max).max(p.min))
}

/// See [`super::reference::table_s8`].
pub fn table_s8(table: &Table, operands: Unary<'_, i8>) -> Option<()> {
    // x + 128 in 0..=255: always found, and the compiler knows it.
    operands.map(|x| table.get(usize::from(x.cast_unsigned() ^ 0x80)).copied().unwrap_or(0))
}

/// See [`super::reference::interpolated`].
pub fn interpolated(p: &Interpolated, operands: Unary<'_, i16>) -> Option<()> {
    let bits = p.segment_bits()?;
    // A sound function has a segment and two knots for each input: the 0 never stands for a value.
    operands
        .map(|x| knots_at(p, bits, x).map_or(0, |(from, to, t, s)| fixed::sat16(fixed::interpolate(from, to, t, s))))
}

/// See [`super::reference::interpolated_wide`].
pub fn interpolated_wide(p: &Interpolated, x: &[i16], out: &mut [i32]) -> Option<()> {
    let bits = p.segment_bits()?;
    if x.len() != out.len() {
        return None;
    }
    for (y, &x) in out.iter_mut().zip(x) {
        *y = knots_at(p, bits, x).map_or(0, |(from, to, t, s)| fixed::interpolate_wide(from, to, t, s));
    }
    Some(())
}

/// See [`super::reference::octaves`].
pub fn octaves(p: &Octaves, x: &[i32], out: &mut [i16]) -> Option<()> {
    let count = Octaves::knot_count(p.bits);
    let (positive, negative) = p.knots.split_at_checked(count)?;
    if x.len() != out.len() {
        return None;
    }
    for (y, &x) in out.iter_mut().zip(x) {
        let (knots, magnitude) = match (x < 0, negative.is_empty()) {
            (false, _) => (positive, x.unsigned_abs()),
            (true, false) => (negative, x.unsigned_abs()),
            (true, true) => (positive, 0),
        };
        let place = Octaves::place(p.bits, magnitude);
        let from = knots.get(place.knot as usize).copied().unwrap_or(0);
        let to = knots.get(place.knot as usize + 1).copied().unwrap_or(from);
        *y = fixed::sat16(fixed::interpolate(from, to, place.t, place.shift));
    }
    Some(())
}

/// The knots on both sides of `x`, its distance from the first and that of the second, the latter as a binary logarithm.
#[inline(always)]
fn knots_at(p: &Interpolated, bits: u32, x: i16) -> Option<(i32, i32, u32, u8)> {
    // x + 32768, in 0..=65535; bits is at most 16.
    let u = u32::from(x.cast_unsigned() ^ 0x8000);
    let (first, shift) = Interpolated::parts(*p.segments.get((u >> bits) as usize)?);
    let within = u & ((1 << bits) - 1);
    let (from, t) = (within.checked_shr(shift.into())?, within & 1_u32.checked_shl(shift.into())?.wrapping_sub(1));
    let [from, to] = *p.knots.get((first + from) as usize..)?.first_chunk()?;
    Some((from, to, t, shift))
}

/// See [`super::reference::requantize`].
pub fn requantize<E: Element>(p: &Requantize<E>, operands: Unary<'_, E>) -> Option<()> {
    operands.map(|x| requantized(p, x))
}

/// See [`super::reference::requantize`]: between different element types, so never in place.
pub fn convert<X: Element, Y: Element>(p: &Requantize<Y>, x: &[X], out: &mut [Y]) -> Option<()> {
    if x.len() != out.len() {
        return None;
    }
    for (y, &x) in out.iter_mut().zip(x) {
        *y = requantized(p, x);
    }
    Some(())
}

#[inline(always)]
fn requantized<X: Element, Y: Element>(p: &Requantize<Y>, x: X) -> Y {
    p.output.finish(fixed::requantize(x.widen().wrapping_sub(p.zero_point), p.multiplier))
}

/// An operand along one row of the result.
enum Row<'a, E> {
    /// A value for each element.
    Each(&'a [E]),
    /// One value for all of them.
    All(E),
    /// What stands where the result goes.
    InPlace,
}

/// `f` of the operands of each element.
///
/// Works row by row of the innermost loop, in which an operand is either read in order or constant: operands of the
/// same shape, and a scalar, make a single row; a vector of channels is read in full for each pixel.
#[inline(always)]
pub(in crate::kernels) fn broadcast<E: Element>(
    shape: &Broadcast,
    operands: Binary<'_, E>,
    f: impl Fn(E, E) -> E,
) -> Option<()> {
    let (a, b, y) = operands.parts();
    // An operand of which the output takes the place has as many elements, so that it is not repeated.
    let fits = |x: Option<&[E]>, shape| elements(shape) == Some(x.map_or(y.len(), <[E]>::len));
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
        // One loop for all: what is repeated, or stands where the result goes, is copied first.
        let (mut a_run, mut b_run) = ([E::MIN; RUN], [E::MIN; RUN]);
        for (at, y) in (0..).step_by(RUN).zip(y.chunks_mut(RUN)) {
            let (a, b) = (run(&a, at, y, &mut a_run)?, run(&b, at, y, &mut b_run)?);
            y.iter_mut().zip(a).zip(b).for_each(|((y, &a), &b)| *y = f(a, b));
        }
    }
    Some(())
}

/// Elements that [`broadcast`] works on at once.
const RUN: usize = 32;

/// The elements of an operand's row from `at` on that meet `y`, if need be copied to `to`.
#[inline(always)]
fn run<'a, E: Element>(row: &Row<'a, E>, at: usize, y: &[E], to: &'a mut [E; RUN]) -> Option<&'a [E]> {
    match *row {
        Row::Each(x) => return x.get(at..)?.get(..y.len()),
        Row::All(x) => to.fill(x),
        Row::InPlace => to.iter_mut().zip(y).for_each(|(to, &y)| *to = y),
    }
    to.get(..y.len())
}

/// The `len` elements of operand `x` from `at` on, the same one again and again if `stride` is 0.
#[inline(always)]
fn row<E: Element>(x: Option<&[E]>, at: isize, stride: isize, len: usize) -> Option<Row<'_, E>> {
    let Some(x) = x else { return Some(Row::InPlace) };
    let rest = x.get(usize::try_from(at).ok()?..)?;
    // An operand's innermost stride is 1 or, where it is repeated, 0.
    Some(if stride == 0 { Row::All(*rest.first()?) } else { Row::Each(rest.get(..len)?) })
}
