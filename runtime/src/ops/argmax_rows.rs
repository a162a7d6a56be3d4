//! The index of the largest element of each row, the first of equal ones: greedy tokens.
//!
//! Input: `x` (R, N) wide. Output: (R) i32, scale 1.
//! Arithmetic: [`crate::kernels::rows::reference::argmax`].

use super::Operator;
use super::check::{self, ensure};
use super::rows::{self, typed, typed_mut};
use crate::arch;
use crate::exec::{Frame, RunError, Span};
use crate::format::{DataType, OpIssue, StepView};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// No parameters.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params;

/// The operator.
pub struct ArgmaxRows;

impl Operator for ArgmaxRows {
    type Params = Params;

    fn check(step: &StepView<'_>, _params: &Params) -> Result<usize, OpIssue> {
        check::operands(step, 1, 1)?;
        let [row_count, _] = rows::wide(&step.input(0).ok_or(OpIssue::Operands)?)?;
        ensure(check::output(step, 0, DataType::I32)?.len == row_count, OpIssue::Shape)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, _params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let len = frame.expect(frame.input(0)?.dim(1))?;
        let [x, out] = frame.spans([Span::Input(0), Span::Output(0)])?;
        arch::rows::argmax(len, typed(error, x)?, typed_mut(error, out)?).ok_or(error)
    }
}
