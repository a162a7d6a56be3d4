//! Two-dimensional average pooling of int8, with the rounding of TensorFlow Lite.
//!
//! Input: `x` (N, H, W, C) i8. Output: (N, OH, OW, C) i8 of the same scale and zero point. The divisor is the number of elements
//! of a window that are no padding.
//! Arithmetic: [`crate::kernels::pool::reference::avg_pool2d_tflite`].

use super::Operator;
use super::check::{self, ensure};
pub use super::max_pool2d::Params;
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};
use crate::kernels::Element;

/// The operator.
pub struct AvgPool2dTfLite;

impl Operator for AvgPool2dTfLite {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::operands(step, 1, 1)?;
        let (x, y) = params.check::<i8>(step)?;
        ensure(x.same_quantization(&y), OpIssue::Quantization)?;
        let [kernel_h, kernel_w] = params.kernel.map(usize::from);
        ensure(kernel_h.saturating_mul(kernel_w) <= <i8 as Element>::MAX_SUMMED, OpIssue::Depth)?;
        params.pool::<i8>(step).and_then(|p| arch::pool::avg_pool2d_scratch_len(&p)).ok_or(OpIssue::Shape)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(params.pool::<i8>(frame.step()))?;
        let (x, y, scratch) = frame.unary_with_scratch(0)?;
        let sums = super::elements(scratch).ok_or(error)?;
        arch::pool::avg_pool2d_tflite(&p, x, y, sums).ok_or(error)
    }
}
