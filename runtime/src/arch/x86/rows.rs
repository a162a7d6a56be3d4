#![allow(unsafe_code)]
//! Row operators: the plain ones, compiled for AVX2.

use super::avx2;
pub use crate::kernels::rows::portable::{argmax, embedding, row_norm_scratch_len};
use crate::kernels::rows::{RowNorm, portable};

/// See [`crate::kernels::rows::reference::row_norm`].
pub fn row_norm(p: &RowNorm, x: &[i32], gamma: &[i16], out: &mut [i16], products: &mut [i32]) -> Option<()> {
    #[target_feature(enable = "avx2")]
    fn wide(p: &RowNorm, x: &[i32], gamma: &[i16], out: &mut [i16], products: &mut [i32]) -> Option<()> {
        portable::row_norm(p, x, gamma, out, products)
    }
    // SAFETY: the processor has AVX2.
    if avx2() { unsafe { wide(p, x, gamma, out, products) } } else { portable::row_norm(p, x, gamma, out, products) }
}
