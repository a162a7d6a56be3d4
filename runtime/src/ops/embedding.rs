//! Rows of a table, chosen by token ids.
//!
//! Inputs: `ids` (R) or (1, R) i32; `w` (V, N) u8 constant, int8 values; `mult` (V) i32 constant. Output: (R, N) wide. An id outside
//! `[0, V)` is an error of the run.
//! Arithmetic: [`crate::kernels::rows::reference::embedding`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use super::rows::{self, typed, typed_mut};
use crate::arch;
use crate::exec::{Frame, RunError, Span};
use crate::format::{DataType, OpIssue, StepView};
use crate::kernels::rows as kernels;

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// A row's scale is `mult / 2^shift`.
    pub shift: u8,
    /// 0.
    pub reserved: [u8; 3],
}

/// The operator.
pub struct Embedding;

impl Operator for Embedding {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::operands(step, 3, 1)?;
        ensure(params.reserved == [0; 3], OpIssue::Params)?;
        let ids = check::input(step, 0, DataType::I32)?;
        let w = check::constant(step, 1, DataType::U8)?;
        let mult = check::constant(step, 2, DataType::I32)?;
        let [row_count, len] = rows::wide(&step.output(0).ok_or(OpIssue::Operands)?)?;
        ensure(ids.len == row_count && w.shape.len() == 2 && w.dim(1) == Some(len), OpIssue::Shape)?;
        ensure(w.dim(0) == Some(mult.len), OpIssue::Shape)?;
        let values: &[i32] = step.constant(2).ok_or(OpIssue::Storage)?;
        ensure(values.iter().all(|m| (1..1 << 27).contains(m)), OpIssue::Multiplier)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let (error, range) = (frame.inconsistent(), frame.index_out_of_range());
        let (w, mult) = (frame.constant(1)?, frame.constant(2)?);
        let len = frame.expect(frame.output(0)?.dim(1))?;
        let p = kernels::Embedding { vocabulary: mult.len(), len, shift: params.shift };
        let [ids, out] = frame.spans([Span::Input(0), Span::Output(0)])?;
        arch::rows::embedding(&p, typed(error, ids)?, w, mult, typed_mut(error, out)?).ok_or(range)
    }
}
