#![allow(unsafe_code)]
//! Elementwise operators: the plain ones; sums compiled for AVX2.

use super::avx2;
pub use crate::kernels::elementwise::portable::{
    clamp, convert, interpolated, interpolated_wide, maximum, minimum, mul, octaves, requantize, table_s8,
};
use crate::kernels::elementwise::{Add, AddTfLite, portable};
use crate::kernels::{Binary, Element};

/// See [`crate::kernels::elementwise::reference::add`].
pub fn add<E: Element>(p: &Add<E>, operands: Binary<'_, E>) -> Option<()> {
    #[target_feature(enable = "avx2")]
    fn wide<E: Element>(p: &Add<E>, operands: Binary<'_, E>) -> Option<()> {
        portable::add(p, operands)
    }
    // SAFETY: the processor has AVX2.
    if avx2() { unsafe { wide(p, operands) } } else { portable::add(p, operands) }
}

/// See [`crate::kernels::elementwise::reference::add_tflite`].
pub fn add_tflite(p: &AddTfLite, mut operands: Binary<'_, i8>) -> Option<()> {
    if super::sums::add_tflite(p, &mut operands).is_some() {
        return Some(());
    }
    #[target_feature(enable = "avx2")]
    fn wide(p: &AddTfLite, operands: Binary<'_, i8>) -> Option<()> {
        portable::add_tflite(p, operands)
    }
    // SAFETY: the processor has AVX2.
    if avx2() { unsafe { wide(p, operands) } } else { portable::add_tflite(p, operands) }
}
