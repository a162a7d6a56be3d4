//! The specification of comparison, logic and choice. Never optimised.
#![allow(clippy::indexing_slicing, reason = "the specification reads like its formula")]

use super::{Compare, Logic, Select};
use crate::kernels::movement::reference::{coordinates, index};

/// Comparison.
///
/// `out[i] = 1` if `(a[i] − z_a)·mult_a` and `(b[i] − z_b)·mult_b` are so related, else 0
///
/// * `a`, `b`: i8, i16 or i32, of any shape that [`super::Broadcast`] admits; `out`: of the broadcast shape
/// * ranges: i32 operands have zero point 0 and factor 1; factors are below 2^31, so that the products are exact
pub fn compare<T: Copy + Into<i64>>(p: &Compare, a: &[T], b: &[T], out: &mut [i8]) -> Option<()> {
    for (i, y) in out.iter_mut().enumerate() {
        let a: i64 = a[place(p.shape.a, p.shape.out, i)].into();
        let b: i64 = b[place(p.shape.b, p.shape.out, i)].into();
        let a = (a - i64::from(p.a.zero_point)) * i64::from(p.a.mult);
        let b = (b - i64::from(p.b.zero_point)) * i64::from(p.b.mult);
        *y = p.relation.holds(a, b).into();
    }
    Some(())
}

/// And, or, exclusive or.
///
/// `out[i] = a[i] ∘ b[i]`, where 0 is false and all else true, and the result is 0 or 1
///
/// * `a`, `b`: of any shape that [`super::Broadcast`] admits; `out`: of the broadcast shape
pub fn logic(p: &Logic, a: &[i8], b: &[i8], out: &mut [i8]) -> Option<()> {
    for (i, y) in out.iter_mut().enumerate() {
        let (a, b) = (a[place(p.shape.a, p.shape.out, i)], b[place(p.shape.b, p.shape.out, i)]);
        *y = p.connective.of(a != 0, b != 0).into();
    }
    Some(())
}

/// Choice.
///
/// `out[i] = a[i]` where `condition[i]` is not 0, else `b[i]`
///
/// * all three: of any shape that can be broadcast to that of `out`; the values move unchanged
pub fn select<T: Copy>(p: &Select, condition: &[i8], a: &[T], b: &[T], out: &mut [T]) -> Option<()> {
    for (i, y) in out.iter_mut().enumerate() {
        let [condition_at, a_at, b_at] = p.shapes.map(|shape| place(shape, p.out, i));
        *y = if condition[condition_at] != 0 { a[a_at] } else { b[b_at] };
    }
    Some(())
}

/// Where an operand of this shape has the value for the result's element `i`.
pub(in crate::kernels) fn place(shape: &[u32], out: &[u32], i: usize) -> usize {
    let out_at = coordinates(i, out);
    let mut at = [0; 8];
    for axis in 0..shape.len() {
        at[axis] = if shape[axis] == 1 { 0 } else { out_at[axis + out.len() - shape.len()] };
    }
    index(at, shape)
}
