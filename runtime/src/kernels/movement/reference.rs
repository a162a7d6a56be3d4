//! The specification of the movements. Never optimised.
#![allow(clippy::indexing_slicing, reason = "the specification reads like its formula")]

use super::{Concat, Expand, Pad, Slice, Transpose};
use crate::kernels::nest::MAX_AXES;

/// Padding with a constant.
///
/// `out[i_0, …] = x[i_0 − before_0, …]` where that lies inside of `x`, `value` elsewhere
///
/// * `x`: `x_shape`; `out`: `out_shape`, of as many axes and each at least `before + x` long
pub fn pad(p: &Pad, x: &[u8], out: &mut [u8]) -> Option<()> {
    let (rank, size) = (p.x_shape.len(), p.value.len());
    for (i, y) in out.chunks_exact_mut(size).enumerate() {
        let mut at = coordinates(i, p.out_shape);
        let inside = (0..rank).all(|axis| {
            let before = usize::from(p.before[axis]);
            (before..before + p.x_shape[axis] as usize).contains(&at[axis])
        });
        y.copy_from_slice(p.value);
        if inside {
            (0..rank).for_each(|axis| at[axis] -= usize::from(p.before[axis]));
            y.copy_from_slice(element(x, index(at, p.x_shape), size));
        }
    }
    Some(())
}

/// One operand of a concatenation.
///
/// `out[…, start + i_axis, …] = x[…, i_axis, …]`; the rest of `out` stays as it is
///
/// * `x`: `x_shape`; `out`: `out_shape`, the same but along `axis`
pub fn concat(p: &Concat, x: &[u8], out: &mut [u8]) -> Option<()> {
    for (i, value) in x.chunks_exact(p.size).enumerate() {
        let mut at = coordinates(i, p.x_shape);
        at[p.axis] += p.start;
        out[index(at, p.out_shape) * p.size..][..p.size].copy_from_slice(value);
    }
    Some(())
}

/// Every `step`-th element along each axis.
///
/// `out[i_0, …] = x[start_0 + i_0·step_0, …]`
///
/// * `x`: `x_shape`; `out`: `out_shape`, of as many axes; every index lies inside of `x`
pub fn slice(p: &Slice, x: &[u8], out: &mut [u8]) -> Option<()> {
    for (i, y) in out.chunks_exact_mut(p.size).enumerate() {
        let mut at = coordinates(i, p.out_shape);
        for ((at, &start), &step) in at.iter_mut().zip(p.start).zip(p.step) {
            *at = (i64::from(start) + *at as i64 * i64::from(step)) as usize;
        }
        y.copy_from_slice(element(x, index(at, p.x_shape), p.size));
    }
    Some(())
}

/// Values repeated along axes.
///
/// `out[i_0, …] = x[j_0, …]` with `j_k = 0` where axis k of `x` has length 1, and `j_k = i_k` elsewhere
///
/// * `x`: `x_shape`; `out`: `out_shape`, of as many axes
pub fn expand(p: &Expand, x: &[u8], out: &mut [u8]) -> Option<()> {
    for (i, y) in out.chunks_exact_mut(p.size).enumerate() {
        let mut at = coordinates(i, p.out_shape);
        (0..p.x_shape.len()).filter(|&axis| p.x_shape[axis] == 1).for_each(|axis| at[axis] = 0);
        y.copy_from_slice(element(x, index(at, p.x_shape), p.size));
    }
    Some(())
}

/// Permutation of the axes.
///
/// `out[i_0, …] = x[j_0, …]` with `j_perm[k] = i_k`
///
/// * `x`: `x_shape`; `out`: `out_shape`, with `out_shape[k] = x_shape[perm[k]]`
pub fn transpose(p: &Transpose, x: &[u8], out: &mut [u8]) -> Option<()> {
    for (i, y) in out.chunks_exact_mut(p.size).enumerate() {
        let out_at = coordinates(i, p.out_shape);
        let mut at = [0; MAX_AXES];
        for k in 0..p.x_shape.len() {
            at[usize::from(p.perm[k])] = out_at[k];
        }
        y.copy_from_slice(element(x, index(at, p.x_shape), p.size));
    }
    Some(())
}

/// Element `i` of `x`.
fn element(x: &[u8], i: usize, size: usize) -> &[u8] {
    &x[i * size..][..size]
}

/// The coordinates of element `i` of a tensor of this shape, row-major.
pub(in crate::kernels) fn coordinates(i: usize, shape: &[u32]) -> [usize; MAX_AXES] {
    let (mut at, mut rest) = ([0; MAX_AXES], i);
    for axis in (0..shape.len()).rev() {
        at[axis] = rest % shape[axis] as usize;
        rest /= shape[axis] as usize;
    }
    at
}

/// The reverse of [`coordinates`].
pub(in crate::kernels) fn index(at: [usize; MAX_AXES], shape: &[u32]) -> usize {
    (0..shape.len()).fold(0, |i, axis| i * shape[axis] as usize + at[axis])
}
