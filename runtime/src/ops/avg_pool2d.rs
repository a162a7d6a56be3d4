//! Two-dimensional average pooling.
//!
//! Inputs: `x` (N, H, W, C) of elements E; `mult` (K) i32 constant; `shift` (K) u8 constant. K is 1 if the divisor is the same
//! everywhere, else KH·KW: entry n − 1 is that of a window with n elements. Output: (N, OH, OW, C) E.
//! Arithmetic: [`crate::kernels::pool::reference::avg_pool2d`].

use core::marker::PhantomData;

use super::Operator;
use super::check::{self, ensure};
pub use super::max_pool2d::Params;
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::fixed::Multiplier;
use crate::format::{DataType, OpIssue, StepView};
use crate::kernels::Element;
use crate::kernels::pool::Divisors;

/// The operator.
pub struct AvgPool2d<E>(PhantomData<E>);

impl<E: Element> Operator for AvgPool2d<E> {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::operands(step, 3, 1)?;
        params.check::<E>(step)?;
        let [kernel_h, kernel_w] = params.kernel.map(usize::from);
        let area = kernel_h.saturating_mul(kernel_w);
        ensure(area <= E::MAX_SUMMED, OpIssue::Depth)?;
        let count = check::constant(step, 1, DataType::I32)?.len;
        ensure(count == 1 || count == area, OpIssue::Shape)?;
        ensure(check::constant(step, 2, DataType::U8)?.len == count, OpIssue::Shape)?;
        let (mult, shift): (&[i32], &[u8]) = match (step.constant(1), step.constant(2)) {
            (Some(mult), Some(shift)) => (mult, shift),
            _ => return Err(OpIssue::Storage),
        };
        for (&mult, &shift) in mult.iter().zip(shift) {
            check::multiplier::<E>(Multiplier { mult, shift })?;
        }
        params.pool::<E>(step).and_then(|p| arch::pool::avg_pool2d_scratch_len(&p)).ok_or(OpIssue::Shape)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(params.pool::<E>(frame.step()))?;
        let in_zero_point = frame.input(0)?.zero_point;
        let divisors = Divisors { mult: frame.constant(1)?, shift: frame.constant(2)?, in_zero_point };
        let (x, y, scratch) = frame.unary_with_scratch(0)?;
        let sums = super::elements(scratch).ok_or(error)?;
        arch::pool::avg_pool2d(&p, &divisors, x, y, sums).ok_or(error)
    }
}
