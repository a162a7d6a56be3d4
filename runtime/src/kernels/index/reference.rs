//! The specification of gather and scatter. Never optimised.
#![allow(clippy::indexing_slicing, reason = "the specification reads like its formula")]

use super::{Arithmetic, Fault, Gather, GatherElements, GatherNd, Places, Scatter, position};
use crate::fixed::{Multiplier, requantize};
use crate::kernels::choice::reference::place as operand;
use crate::kernels::elementwise::Broadcast;
use crate::kernels::movement::reference::{coordinates, index};
use crate::kernels::{Element, Output};

/// Slices along an axis.
///
/// `out[o,i,j] = data[o, indices[i], j]`
///
/// * `data`: `(outer, len, inner)`; `indices`: of any length n; `out`: `(outer, n, inner)`
/// * an index below `−len` or above `len − 1` is [`Fault::Index`]
pub fn gather<T: Copy>(p: &Gather, data: &[T], indices: &[i32], out: &mut [T]) -> Result<(), Fault> {
    let n = indices.len();
    for o in 0..p.outer {
        for i in 0..n {
            let at = position(indices[i], p.len).ok_or(Fault::Index)?;
            for j in 0..p.inner {
                out[(o * n + i) * p.inner + j] = data[(o * p.len + at) * p.inner + j];
            }
        }
    }
    Ok(())
}

/// An element for each index.
///
/// `out[i_0, …] = data[i_0, …, indices[i_0, …], …]`, the index in place of the coordinate along the axis
///
/// * `data`: `data_shape`; `indices`, `out`: `shape`
/// * an index out of range is [`Fault::Index`]
pub fn gather_elements<T: Copy>(p: &GatherElements, data: &[T], indices: &[i32], out: &mut [T]) -> Result<(), Fault> {
    for i in 0..out.len() {
        let mut at = coordinates(i, p.shape);
        at[p.axis] = position(indices[i], p.data_shape[p.axis] as usize).ok_or(Fault::Index)?;
        out[i] = data[index(at, p.data_shape)];
    }
    Ok(())
}

/// Blocks that tuples of indices name.
///
/// `out[b,t,j] = data[b, indices[b,t,0], …, indices[b,t,d−1], j]`
///
/// * `data`: `(batches, dims…, inner)`; `indices`: `(batches, tuples, d)`; `out`: `(batches, tuples, inner)`
/// * an index out of range is [`Fault::Index`]
pub fn gather_nd<T: Copy>(p: &GatherNd, data: &[T], indices: &[i32], out: &mut [T]) -> Result<(), Fault> {
    let depth = p.dims.len();
    let tuples = indices.len() / depth / p.batches;
    let block: usize = p.dims.iter().map(|&d| d as usize).product();
    for b in 0..p.batches {
        for t in 0..tuples {
            let tuple = &indices[(b * tuples + t) * depth..][..depth];
            let mut at = [0; 8];
            for (k, &index) in tuple.iter().enumerate() {
                at[k] = position(index, p.dims[k] as usize).ok_or(Fault::Index)?;
            }
            for j in 0..p.inner {
                out[(b * tuples + t) * p.inner + j] = data[(b * block + index(at, p.dims)) * p.inner + j];
            }
        }
    }
    Ok(())
}

/// The data with the updates in their places; of several at one place the last one stays.
///
/// `out = data`, then `out[place(i)] = updates[i]` for each update in order; see [`Places`]
///
/// * `data`, `out`: `data_shape`; `indices`: in [`Places::Elements`] as long as `updates`, in [`Places::Nd`]
///   `(tuples, depth)` with updates `(tuples, block)`
/// * an index out of range is [`Fault::Index`]
pub fn scatter<T: Copy>(p: &Scatter, data: &[T], indices: &[i32], updates: &[T], out: &mut [T]) -> Result<(), Fault> {
    out.copy_from_slice(data);
    for (i, &update) in updates.iter().enumerate() {
        out[place(p, indices, updates.len(), i)?] = update;
    }
    Ok(())
}

/// The data with the updates added in their places.
///
/// `out[o] = sat(data[o] + Σ (updates[i] − z))` over all updates whose place is o
///
/// * operands and output have one scale and one zero point z; shapes as in [`scatter`]
/// * nothing is rounded; the exact sum saturates once
pub fn scatter_add<E: Element>(
    p: &Scatter,
    zero_point: i32,
    data: &[E],
    indices: &[i32],
    updates: &[E],
    out: &mut [E],
) -> Result<(), Fault> {
    for o in 0..out.len() {
        let mut sum = data[o].widen();
        for (i, &update) in updates.iter().enumerate() {
            if place(p, indices, updates.len(), i)? == o {
                sum += update.widen() - zero_point;
            }
        }
        out[o] = E::saturate(sum);
    }
    Ok(())
}

/// Arithmetic on integers.
///
/// `out[i] = a[i] ∘ b[i]`
///
/// * `a`, `b`: of any shape that [`Broadcast`] admits; `out`: of the broadcast shape
/// * a result that does not fit, or a division by 0, is [`Fault::Index`]
pub fn arithmetic(
    operation: Arithmetic,
    shape: &Broadcast,
    a: &[i32],
    b: &[i32],
    out: &mut [i32],
) -> Result<(), Fault> {
    for (i, y) in out.iter_mut().enumerate() {
        let (a, b) = (a[operand(shape.a, shape.out, i)], b[operand(shape.b, shape.out, i)]);
        *y = operation.of(a, b).ok_or(Fault::Index)?;
    }
    Ok(())
}

/// Integers as real numbers.
///
/// `out[i] = finish(requantize(x[i], m))`
///
/// * `x`, `out`: of the same length
/// * rounding: [`requantize`], once
pub fn from_index<E: Element>(m: Multiplier, output: &Output<E>, x: &[i32], out: &mut [E]) -> Option<()> {
    for (i, y) in out.iter_mut().enumerate() {
        *y = output.finish(requantize(x[i], m));
    }
    Some(())
}

/// The place of update `i` of `updates`.
fn place(p: &Scatter, indices: &[i32], updates: usize, i: usize) -> Result<usize, Fault> {
    match p.places {
        Places::Elements { shape, axis } => {
            let mut at = coordinates(i, shape);
            at[axis] = position(indices[i], p.data_shape[axis] as usize).ok_or(Fault::Index)?;
            Ok(index(at, p.data_shape))
        }
        Places::Nd { depth } => {
            let block = updates / (indices.len() / depth);
            let (tuple, inner) = (i / block, i % block);
            let mut at = 0;
            for k in 0..depth {
                let dim = p.data_shape[k] as usize;
                at = at * dim + position(indices[tuple * depth + k], dim).ok_or(Fault::Index)?;
            }
            Ok(at * block + inner)
        }
    }
}
