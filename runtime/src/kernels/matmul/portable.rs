//! The matrix product in plain Rust that any target runs well.

use super::MatMul;
use crate::kernels::{Accumulator, Element};

/// See [`super::reference::matmul`].
///
/// `Σ (a − z_a)(b − z_b) = Σ ab − z_a·Σb − z_b·Σa + depth·z_a·z_b`: the inner loop multiplies the elements as they are.
pub fn matmul<E: Element>(p: &MatMul<E>, a: &[E], b: &[E], out: &mut [E]) -> Option<()> {
    let [a_len, b_len, out_len] =
        [p.rows.checked_mul(p.depth)?, p.columns.checked_mul(p.depth)?, p.rows.checked_mul(p.columns)?];
    let batches = |shared, len: usize| if shared { Some(len) } else { len.checked_mul(p.batches) };
    let fits = batches(p.shared[0], a_len) == Some(a.len())
        && batches(p.shared[1], b_len) == Some(b.len())
        && batches(false, out_len) == Some(out.len());
    if !fits || p.depth == 0 || p.columns == 0 {
        return None;
    }
    for (n, out) in out.chunks_exact_mut(out_len.max(1)).enumerate() {
        let a = matrix(a, p.shared[0], n, a_len)?;
        let b = matrix(b, p.shared[1], n, b_len)?;
        for (a, out) in a.chunks_exact(p.depth).zip(out.chunks_exact_mut(p.columns)) {
            row(p, a, b, out);
        }
    }
    Some(())
}

/// Matrix `n` of an operand.
fn matrix<E>(x: &[E], shared: bool, n: usize, len: usize) -> Option<&[E]> {
    let start = if shared { 0 } else { n.checked_mul(len)? };
    x.get(start..start.checked_add(len)?)
}

/// One row of the result.
#[inline(always)]
fn row<E: Element>(p: &MatMul<E>, a: &[E], b: &[E], out: &mut [E]) {
    let [a_zero, b_zero] = p.zero_points;
    // Sums of at most 2^15 int8 values fit in i32; an int16 operand has the zero point 0, and what wraps is not used.
    let sum = |x: &[E]| x.iter().fold(0_i32, |sum, x| sum.wrapping_add(x.widen()));
    let depth = p.depth as i32;
    let fixed =
        E::Sum::default().plus_product(sum(a), b_zero.wrapping_neg()).plus_product(a_zero.wrapping_mul(b_zero), depth);
    for (b, out) in b.chunks_exact(p.depth).zip(out) {
        let mut dot = a.iter().zip(b).fold(fixed, |dot, (a, b)| dot.plus_product(a.widen(), b.widen()));
        if a_zero != 0 {
            dot = dot.plus_product(sum(b), a_zero.wrapping_neg());
        }
        *out = p.output.finish(dot.requantize(p.multiplier));
    }
}
