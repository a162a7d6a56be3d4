//! The specification of the orderings. Never optimised.
#![allow(clippy::indexing_slicing, reason = "the specification reads like its formula")]

use super::{ArgExtreme, Extreme, TopK};
use crate::kernels::movement::reference::{coordinates, index};

/// Index of the largest or smallest element along an axis.
///
/// `out[o,j] = i`, where `x[o,i,j]` is the extreme one, and i the first or last such index
///
/// * `x`: `(outer, len, inner)`; `out`: `(outer, inner)`
pub fn arg_extreme<T: Copy + Ord>(p: &ArgExtreme, x: &[T], out: &mut [i32]) -> Option<()> {
    let along = &p.along;
    for o in 0..along.outer {
        for j in 0..along.inner {
            let value = |i: usize| x[(o * along.len + i) * along.inner + j];
            let values = || (0..along.len).map(value);
            let extreme = if p.largest { values().max()? } else { values().min()? };
            let mut places = (0..along.len).filter(|&i| value(i) == extreme);
            let place = if p.last { places.next_back()? } else { places.next()? };
            out[o * along.inner + j] = place as i32;
        }
    }
    Some(())
}

/// Indices of the k largest or smallest elements along an axis, the extreme one first; of equal ones the first.
///
/// * `x`: `(outer, len, inner)`; `out`: `(outer, k, inner)`
pub fn top_k<T: Copy + Ord>(p: &TopK, x: &[T], out: &mut [i32]) -> Option<()> {
    let along = &p.along;
    for o in 0..along.outer {
        for j in 0..along.inner {
            let value = |i: usize| x[(o * along.len + i) * along.inner + j];
            for i in 0..along.len {
                let precedes = |k: &usize| {
                    let (a, b) = (value(*k), value(i));
                    (if p.largest { a > b } else { a < b }) || (a == b && *k < i)
                };
                let rank = (0..along.len).filter(precedes).count();
                if rank < p.k {
                    out[(o * p.k + rank) * along.inner + j] = i as i32;
                }
            }
        }
    }
    Some(())
}

/// Largest or smallest element over axes.
///
/// `out[o] = max x` over all elements whose coordinates off the reduced axes are o
///
/// * `x`: `shape`; `out`: the same with the reduced axes of length 1; the values move unchanged
pub fn extreme<T: Copy + Ord>(p: &Extreme, x: &[T], out: &mut [T]) -> Option<()> {
    let mut out_shape = [1; 8];
    for (axis, &dim) in p.shape.iter().enumerate() {
        out_shape[axis] = if p.reduces(axis) { 1 } else { dim };
    }
    let out_shape = &out_shape[..p.shape.len()];
    for (o, out) in out.iter_mut().enumerate() {
        let counts = |&i: &usize| {
            let mut at = coordinates(i, p.shape);
            (0..p.shape.len()).filter(|&axis| p.reduces(axis)).for_each(|axis| at[axis] = 0);
            index(at, out_shape) == o
        };
        let values = (0..x.len()).filter(counts).map(|i| x[i]);
        *out = if p.largest { values.max()? } else { values.min()? };
    }
    Some(())
}
