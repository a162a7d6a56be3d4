//! Gather and scatter in plain Rust that any target runs well.

use super::{Arithmetic, Fault, Gather, GatherElements, GatherNd, Places, Scatter, position};
use crate::fixed::{Multiplier, requantize};
use crate::kernels::choice::portable::rows;
use crate::kernels::elementwise::Broadcast;
use crate::kernels::nest::{axes, elements};
use crate::kernels::{Element, Output};

/// See [`super::reference::gather`].
pub fn gather<T: Copy>(p: &Gather, data: &[T], indices: &[i32], out: &mut [T]) -> Result<(), Fault> {
    let size = |count: usize| p.outer.checked_mul(count)?.checked_mul(p.inner);
    if size(p.len) != Some(data.len()) || size(indices.len()) != Some(out.len()) || out.is_empty() {
        return Err(Fault::Size);
    }
    let mut blocks = out.chunks_exact_mut(p.inner.max(1));
    for data in data.chunks_exact(p.len.saturating_mul(p.inner).max(1)) {
        for (&index, out) in indices.iter().zip(&mut blocks) {
            let at = position(index, p.len).ok_or(Fault::Index)?;
            copy_block(data, at, out)?;
        }
    }
    Ok(())
}

/// See [`super::reference::gather_elements`].
pub fn gather_elements<T: Copy>(p: &GatherElements, data: &[T], indices: &[i32], out: &mut [T]) -> Result<(), Fault> {
    let fits = |shape, len| elements(shape) == Some(len);
    if !(fits(p.data_shape, data.len()) && fits(p.shape, indices.len()) && out.len() == indices.len()) {
        return Err(Fault::Size);
    }
    for ((i, &index), out) in indices.iter().enumerate().zip(out) {
        let at = element_place(p.data_shape, p.shape, p.axis, i, index)?;
        *out = *data.get(at).ok_or(Fault::Size)?;
    }
    Ok(())
}

/// See [`super::reference::gather_nd`].
pub fn gather_nd<T: Copy>(p: &GatherNd, data: &[T], indices: &[i32], out: &mut [T]) -> Result<(), Fault> {
    let depth = p.dims.len();
    let block = elements(p.dims).and_then(|n| n.checked_mul(p.inner)).ok_or(Fault::Size)?;
    let tuples = indices.len().checked_div(depth).and_then(|n| n.checked_div(p.batches)).ok_or(Fault::Size)?;
    let fits = block.checked_mul(p.batches) == Some(data.len())
        && tuples.checked_mul(p.batches).and_then(|n| n.checked_mul(p.inner)) == Some(out.len());
    if !fits || out.is_empty() {
        return Err(Fault::Size);
    }
    let mut blocks = out.chunks_exact_mut(p.inner.max(1));
    let batches = indices.chunks_exact(tuples.saturating_mul(depth).max(1));
    for (data, indices) in data.chunks_exact(block.max(1)).zip(batches) {
        for (tuple, out) in indices.chunks_exact(depth.max(1)).zip(&mut blocks) {
            copy_block(data, tuple_place(p.dims, tuple)?, out)?;
        }
    }
    Ok(())
}

/// See [`super::reference::scatter`].
pub fn scatter<T: Copy>(p: &Scatter, data: &[T], indices: &[i32], updates: &[T], out: &mut [T]) -> Result<(), Fault> {
    if data.len() != out.len() {
        return Err(Fault::Size);
    }
    out.copy_from_slice(data);
    each_place(p, indices, updates, |at, update| {
        *out.get_mut(at)? = update;
        Some(())
    })
}

/// Bytes of scratch memory that [`scatter_add`] needs: a sum an element.
pub fn scatter_add_scratch_len(p: &Scatter) -> Option<usize> {
    elements(p.data_shape)?.checked_mul(size_of::<i32>())
}

/// See [`super::reference::scatter_add`]; the sums stand in `sums`.
pub fn scatter_add<E: Element>(
    p: &Scatter,
    zero_point: i32,
    [data, updates]: [&[E]; 2],
    indices: &[i32],
    out: &mut [E],
    sums: &mut [i32],
) -> Result<(), Fault> {
    let sums = sums.get_mut(..out.len()).ok_or(Fault::Size)?;
    if data.len() != out.len() {
        return Err(Fault::Size);
    }
    sums.iter_mut().zip(data).for_each(|(sum, x)| *sum = x.widen());
    each_place(p, indices, updates, |at, update| {
        let sum = sums.get_mut(at)?;
        *sum = sum.wrapping_add(update.widen().wrapping_sub(zero_point));
        Some(())
    })?;
    out.iter_mut().zip(sums).for_each(|(y, &mut sum)| *y = E::saturate(sum));
    Ok(())
}

/// Calls `put` with the place of each update, and the update.
#[inline(always)]
fn each_place<T: Copy>(
    p: &Scatter,
    indices: &[i32],
    updates: &[T],
    mut put: impl FnMut(usize, T) -> Option<()>,
) -> Result<(), Fault> {
    match p.places {
        Places::Elements { shape, axis } => {
            if elements(shape) != Some(indices.len()) || updates.len() != indices.len() {
                return Err(Fault::Size);
            }
            for ((i, &index), &update) in indices.iter().enumerate().zip(updates) {
                put(element_place(p.data_shape, shape, axis, i, index)?, update).ok_or(Fault::Size)?;
            }
        }
        Places::Nd { depth } => {
            let dims = p.data_shape.get(..depth).ok_or(Fault::Size)?;
            let block = p.data_shape.get(depth..).and_then(elements).ok_or(Fault::Size)?;
            let tuples = indices.len().checked_div(depth).ok_or(Fault::Size)?;
            if tuples.checked_mul(block) != Some(updates.len()) {
                return Err(Fault::Size);
            }
            let mut updates = updates.chunks_exact(block.max(1));
            for tuple in indices.chunks_exact(depth.max(1)) {
                let updates = updates.next().ok_or(Fault::Size)?;
                let start = tuple_place(dims, tuple)?.checked_mul(block).ok_or(Fault::Size)?;
                for (at, &update) in (start..).zip(updates) {
                    put(at, update).ok_or(Fault::Size)?;
                }
            }
        }
    }
    Ok(())
}

/// See [`super::reference::arithmetic`].
pub fn arithmetic(
    operation: Arithmetic,
    shape: &Broadcast,
    a: &[i32],
    b: &[i32],
    out: &mut [i32],
) -> Result<(), Fault> {
    let mut fits = true;
    let done = rows([(shape.a, a.len()), (shape.b, b.len())], shape.out, out, |out, [a_row, b_row]| {
        for (y, (a, b)) in out.iter_mut().zip(a_row.of(a)?.zip(b_row.of(b)?)) {
            let result = operation.of(a, b);
            fits &= result.is_some();
            *y = result.unwrap_or(0);
        }
        Some(())
    });
    match done {
        None => Err(Fault::Size),
        Some(()) if !fits => Err(Fault::Index),
        Some(()) => Ok(()),
    }
}

/// See [`super::reference::from_index`].
pub fn from_index<E: Element>(m: Multiplier, output: &Output<E>, x: &[i32], out: &mut [E]) -> Option<()> {
    if x.len() != out.len() {
        return None;
    }
    out.iter_mut().zip(x).for_each(|(y, &x)| *y = output.finish(requantize(x, m)));
    Some(())
}

/// Copies block `at` of `data`, as long as `out`.
#[inline(always)]
fn copy_block<T: Copy>(data: &[T], at: usize, out: &mut [T]) -> Result<(), Fault> {
    let start = at.checked_mul(out.len()).ok_or(Fault::Size)?;
    let block = data.get(start..).and_then(|rest| rest.get(..out.len())).ok_or(Fault::Size)?;
    out.copy_from_slice(block);
    Ok(())
}

/// The place in data of which element `i` of `shape`, its coordinate along `axis` replaced by `index`, stands.
#[inline(always)]
fn element_place(data_shape: &[u32], shape: &[u32], axis: usize, i: usize, index: i32) -> Result<usize, Fault> {
    let inner_axes = data_shape.len().checked_sub(axis).and_then(|n| n.checked_sub(1)).ok_or(Fault::Size)?;
    let (mut rest, mut at) = (i, 0_usize);
    for (k, (&dim, (len, stride))) in shape.iter().rev().zip(axes(data_shape)).enumerate() {
        let dim = usize::try_from(dim).ok().filter(|&dim| dim > 0).ok_or(Fault::Size)?;
        let coordinate = if k == inner_axes {
            position(index, len).ok_or(Fault::Index)?
        } else {
            rest.checked_rem(dim).ok_or(Fault::Size)?
        };
        rest = rest.checked_div(dim).ok_or(Fault::Size)?;
        at = at.wrapping_add(coordinate.wrapping_mul(stride.cast_unsigned()));
    }
    Ok(at)
}

/// The number of the block that a tuple of indices names.
#[inline(always)]
fn tuple_place(dims: &[u32], tuple: &[i32]) -> Result<usize, Fault> {
    dims.iter().zip(tuple).try_fold(0_usize, |at, (&dim, &index)| {
        let dim = usize::try_from(dim).map_err(|_| Fault::Size)?;
        let place = position(index, dim).ok_or(Fault::Index)?;
        Ok(at.wrapping_mul(dim).wrapping_add(place))
    })
}
