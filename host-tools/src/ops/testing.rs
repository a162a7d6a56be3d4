//! Helpers of the operators' unit tests.

use ndarray::{ArrayD, IxDyn};

/// A tensor of distinct values of both signs, the same on every run.
pub(crate) fn ramp(shape: &[usize]) -> ArrayD<f32> {
    let mut state = 1u32;
    ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    })
}

/// Asserts equal shapes and equal elements up to float rounding.
pub(crate) fn reference_close(got: &ArrayD<f32>, want: &ArrayD<f32>) {
    assert_eq!(got.shape(), want.shape());
    for (g, w) in got.iter().zip(want) {
        assert!((g - w).abs() <= 1e-5 * w.abs().max(1.0), "{g} instead of {w}");
    }
}
