//! Matrix product of narrow rows, added to the residual stream.
//!
//! Inputs: `x` (R, 2 + I) narrow; `residual` (R, O) wide; then the matrix as in [`super::row_linear`]. Output: (R, O) wide,
//! which may take the place of `residual`.
//! Arithmetic: [`crate::kernels::row_linear::reference::row_linear`] with `add`.

use super::Operator;
use super::row_linear::{self, check_linear};
use super::rows::{matrix_of, split_scratch, typed, typed_mut};
use crate::arch;
use crate::exec::{Frame, RunError, Span};
use crate::format::{OpIssue, StepView};

/// Parameters in the file: those of [`super::row_linear`].
pub type Params = row_linear::Params;

/// The operator.
pub struct RowLinearAdd;

impl Operator for RowLinearAdd {
    type Params = Params;
    const IN_PLACE: &'static [u8] = &[1];

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check_linear(step, params, 2)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let w = matrix_of(frame, 2, &params.matrix, params.biased != 0)?.weights;
        if !frame.in_place(1, 0)? {
            let [residual, out] = frame.spans([Span::Input(1), Span::Output(0)])?;
            out.iter_mut().zip(residual).for_each(|(to, from)| *to = *from);
        }
        let [x, out, scratch] = frame.spans([Span::Input(0), Span::Output(0), Span::Scratch])?;
        let (_, scratch) = split_scratch(scratch, 0, w.halves()).ok_or(error)?;
        arch::row_linear::row_linear(&w, typed(error, x)?, typed_mut(error, out)?, true, scratch).ok_or(error)
    }
}
