//! The specification of the matrix product. Never optimised.
#![allow(clippy::indexing_slicing, reason = "the specification reads like its formula")]

use super::MatMul;
use crate::kernels::{Accumulator, Element};

/// Rows of `a` times rows of `b`, matrix by matrix: `a · bᵀ`.
///
/// `out[n,i,j] = finish(requantize(Σ_k (a[n,i,k] − z_a)·(b[n,j,k] − z_b), m))`
///
/// * `a`: `(batches, rows, depth)`, `b`: `(batches, columns, depth)`, either of them without the batch if it is shared;
///   `out`: `(batches, rows, columns)`
/// * ranges: `depth ≤ 2^15`, so that the sum fits the accumulator
/// * rounding: [`crate::fixed::requantize`] or [`crate::fixed::requantize_i64`], once
/// * source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
///   Inference", CVPR 2018, equation 4
pub fn matmul<E: Element>(p: &MatMul<E>, a: &[E], b: &[E], out: &mut [E]) -> Option<()> {
    for n in 0..p.batches {
        let (a_batch, b_batch) = (if p.shared[0] { 0 } else { n }, if p.shared[1] { 0 } else { n });
        for i in 0..p.rows {
            for j in 0..p.columns {
                let mut sum = E::Sum::default();
                for k in 0..p.depth {
                    let a = a[(a_batch * p.rows + i) * p.depth + k].widen() - p.zero_points[0];
                    let b = b[(b_batch * p.columns + j) * p.depth + k].widen() - p.zero_points[1];
                    sum = sum.plus_product(a, b);
                }
                out[(n * p.rows + i) * p.columns + j] = p.output.finish(sum.requantize(p.multiplier));
            }
        }
    }
    Some(())
}
