//! Matrix product of narrow rows: projections and logits.
//!
//! Inputs: `x` (R, 2 + I) narrow; `w` (O, I·bits/8) u8, `scales` (O, I/group) i8 if group > 0, `mult` (O) i32, `bias` (O) i32 if
//! biased: constants. Output: (R, O) wide.
//! Arithmetic: [`crate::kernels::row_linear::reference::row_linear`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use super::rows::{self, Matrix, check_matrix, matrix_of, scratch_bytes, split_scratch, typed, typed_mut};
use crate::arch;
use crate::exec::{Frame, RunError, Span};
use crate::format::{OpIssue, StepView};

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// The weights.
    pub matrix: Matrix,
    /// 1 if there is a bias, or 0.
    pub biased: u8,
    /// 0.
    pub reserved: [u8; 3],
}

/// The operator.
pub struct RowLinear;

impl Operator for RowLinear {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check_linear(step, params, 1)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let w = matrix_of(frame, 1, &params.matrix, params.biased != 0)?.weights;
        let [x, out, scratch] = frame.spans([Span::Input(0), Span::Output(0), Span::Scratch])?;
        let (_, scratch) = split_scratch(scratch, 0, w.halves()).ok_or(error)?;
        arch::row_linear::row_linear(&w, typed(error, x)?, typed_mut(error, out)?, false, scratch).ok_or(error)
    }
}

/// The step with its matrix from slot `first` on, a residual before it if that is not 1; gives the scratch memory.
pub(super) fn check_linear(step: &StepView<'_>, params: &Params, first: usize) -> Result<usize, OpIssue> {
    ensure(params.biased <= 1 && params.reserved == [0; 3], OpIssue::Params)?;
    let ([row_count, len], bits) = rows::narrow(&step.input(0).ok_or(OpIssue::Operands)?)?;
    let found = check_matrix(step, first, &params.matrix, (len, bits), params.biased != 0)?;
    check::operands(step, found.next, 1)?;
    let out = rows::wide(&step.output(0).ok_or(OpIssue::Operands)?)?;
    ensure(out == [row_count, found.weights.outputs], OpIssue::Shape)?;
    if first > 1 {
        let residual = rows::wide(&step.input(1).ok_or(OpIssue::Operands)?)?;
        ensure(residual == out, OpIssue::Shape)?;
    }
    scratch_bytes(0, found.weights.halves())
}
