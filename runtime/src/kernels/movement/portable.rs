//! Movements in plain Rust that any target runs well.
//!
//! Axes that lie in order in both tensors are moved as one run of bytes.

use super::{Concat, Expand, Pad, Slice, Transpose};
use crate::kernels::nest::{Axis, Nest, axes, elements};

/// See [`super::reference::pad`].
pub fn pad(p: &Pad, x: &[u8], out: &mut [u8]) -> Option<()> {
    let before = p.before.get(..p.x_shape.len())?.iter().rev();
    let start = distance(axes(p.out_shape).zip(before).map(|((_, stride), &before)| (stride, before as isize)));
    // Nothing to fill in where nothing is added.
    if x.len() < out.len() {
        fill(out, p.value);
    }
    place(p.value.len(), p.x_shape, p.out_shape, start, x, out)
}

/// See [`super::reference::concat`].
pub fn concat(p: &Concat, x: &[u8], out: &mut [u8]) -> Option<()> {
    let inner_axes = p.out_shape.len().checked_sub(p.axis)?.checked_sub(1)?;
    let (_, stride) = axes(p.out_shape).nth(inner_axes)?;
    place(p.size, p.x_shape, p.out_shape, stride.wrapping_mul(isize::try_from(p.start).ok()?), x, out)
}

/// See [`super::reference::slice`].
pub fn slice(p: &Slice, x: &[u8], out: &mut [u8]) -> Option<()> {
    let rank = p.out_shape.len();
    let starts = p.start.get(..rank)?.iter().rev();
    let steps = p.step.get(..rank)?.iter().rev();
    let start = distance(axes(p.x_shape).zip(starts).map(|((_, stride), &start)| (stride, start as isize)));
    let loops = axes(p.out_shape).zip(axes(p.x_shape).zip(steps));
    // A product that wraps is that of an axis of length 1, along which no step is made.
    let loops = loops.map(|((len, _), ((_, stride), &step))| (len, stride.wrapping_mul(step as isize)));
    collect(p.size, p.x_shape, p.out_shape, loops, start, x, out)
}

/// See [`super::reference::expand`].
pub fn expand(p: &Expand, x: &[u8], out: &mut [u8]) -> Option<()> {
    let loops = axes(p.out_shape).zip(axes(p.x_shape));
    let loops = loops.map(|((len, _), (x_len, stride))| (len, if x_len == 1 { 0 } else { stride }));
    collect(p.size, p.x_shape, p.out_shape, loops, 0, x, out)
}

/// See [`super::reference::transpose`].
pub fn transpose(p: &Transpose, x: &[u8], out: &mut [u8]) -> Option<()> {
    let rank = p.x_shape.len();
    let perm = p.perm.get(..rank)?;
    if perm.iter().any(|&axis| usize::from(axis) >= rank) {
        return None;
    }
    // Innermost first, input axis k is the (rank − 1 − k)-th.
    let strides = perm.iter().rev().filter_map(|&k| axes(p.x_shape).nth(rank.wrapping_sub(1).wrapping_sub(k.into())));
    let loops = axes(p.out_shape).zip(strides).map(|((len, _), (_, stride))| (len, stride));
    collect(p.size, p.x_shape, p.out_shape, loops, 0, x, out)
}

/// The sum of `stride · steps` of all axes.
fn distance(axes: impl Iterator<Item = (isize, isize)>) -> isize {
    axes.fold(0, |sum, (stride, steps)| sum.wrapping_add(stride.wrapping_mul(steps)))
}

/// Fills `out` with copies of `value`.
fn fill(out: &mut [u8], value: &[u8]) {
    match *value {
        [byte] => out.fill(byte),
        _ => {
            for to in out.chunks_exact_mut(value.len().max(1)) {
                to.iter_mut().zip(value).for_each(|(to, &from)| *to = from);
            }
        }
    }
}

/// Writes `x`, read in order, as a block into `out`, its first element at `start`.
fn place(size: usize, x_shape: &[u32], out_shape: &[u32], start: isize, x: &[u8], out: &mut [u8]) -> Option<()> {
    let loops = axes(x_shape).zip(axes(out_shape)).map(|((len, _), (_, stride))| (len, stride));
    let nest = nest(size, (x_shape, x.len()), (out_shape, out.len()), loops)?;
    let Axis { len, stride: [stride] } = nest.row();
    for (from, [at]) in x.chunks_exact(len.checked_mul(size)?.max(1)).zip(nest.rows([start])) {
        if stride == 1 {
            out.get_mut(usize::try_from(at).ok()?.checked_mul(size)?..)?.get_mut(..from.len())?.copy_from_slice(from);
            continue;
        }
        match size {
            1 => scatter::<1>(from, at, stride, out)?,
            2 => scatter::<2>(from, at, stride, out)?,
            4 => scatter::<4>(from, at, stride, out)?,
            _ => return None,
        }
    }
    Some(())
}

/// Writes the elements of `from` to `out`, the first at `at`, each `stride` after the one before.
#[inline(always)]
fn scatter<const SIZE: usize>(from: &[u8], at: isize, stride: isize, out: &mut [u8]) -> Option<()> {
    let (from, out) = (from.as_chunks::<SIZE>().0, out.as_chunks_mut::<SIZE>().0);
    for (&value, at) in from.iter().zip(positions(at, stride)) {
        *out.get_mut(at)? = value;
    }
    Some(())
}

/// Fills `out` in order with the elements of `x` that `loops` (length and stride, innermost first) visit from
/// `start` on.
fn collect(
    size: usize,
    x_shape: &[u32],
    out_shape: &[u32],
    loops: impl Iterator<Item = (usize, isize)>,
    start: isize,
    x: &[u8],
    out: &mut [u8],
) -> Option<()> {
    let nest = nest(size, (x_shape, x.len()), (out_shape, out.len()), loops)?;
    let Axis { len, stride: [stride] } = nest.row();
    for (to, [at]) in out.chunks_exact_mut(len.checked_mul(size)?.max(1)).zip(nest.rows([start])) {
        if stride == 1 {
            to.copy_from_slice(x.get(usize::try_from(at).ok()?.checked_mul(size)?..)?.get(..to.len())?);
            continue;
        }
        match size {
            1 => gather::<1>(x, at, stride, to)?,
            2 => gather::<2>(x, at, stride, to)?,
            4 => gather::<4>(x, at, stride, to)?,
            _ => return None,
        }
    }
    Some(())
}

/// Fills `to` with elements of `x`, the first from `at`, each `stride` after the one before.
#[inline(always)]
fn gather<const SIZE: usize>(x: &[u8], at: isize, stride: isize, to: &mut [u8]) -> Option<()> {
    let (x, to) = (x.as_chunks::<SIZE>().0, to.as_chunks_mut::<SIZE>().0);
    for (value, at) in to.iter_mut().zip(positions(at, stride)) {
        *value = *x.get(at)?;
    }
    Some(())
}

/// The nest of `loops`, if both slices, given as shape and bytes, have as many elements of this size as their shapes,
/// and as many axes as each other.
fn nest(
    size: usize,
    x: (&[u32], usize),
    out: (&[u32], usize),
    loops: impl Iterator<Item = (usize, isize)>,
) -> Option<Nest<1>> {
    let fits = |(shape, bytes)| elements(shape).and_then(|len| len.checked_mul(size)) == Some(bytes);
    if !(fits(x) && fits(out) && x.0.len() == out.0.len()) {
        return None;
    }
    Nest::new(loops.map(|(len, stride)| Axis { len, stride: [stride] }))
}

/// `start`, `start + stride`, …: a position in front of the slice is one far beyond its end.
#[inline(always)]
fn positions(start: isize, stride: isize) -> impl Iterator<Item = usize> {
    core::iter::successors(Some(start), move |at| Some(at.wrapping_add(stride))).map(isize::cast_unsigned)
}
