//! Softmax over the last axis.
//!
//! Input: `x` i8 of any shape. Output: the same shape, scale 1/256, zero point −128.
//! Arithmetic: [`crate::kernels::softmax::reference::softmax_s8`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{DataType, OpIssue, StepView};
use crate::kernels::softmax;

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// `round(scale · 2^26)`, at least 1.
    pub multiplier: u32,
}

/// The operator.
pub struct Softmax;

fn kernel(step: &StepView<'_>, params: &Params) -> Option<softmax::Softmax> {
    let row_len = usize::try_from(*step.input(0)?.shape.last()?).ok()?;
    Some(softmax::Softmax { row_len, multiplier: params.multiplier })
}

impl Operator for Softmax {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::operands(step, 1, 1)?;
        let (x, y) = (check::input(step, 0, DataType::I8)?, check::output(step, 0, DataType::I8)?);
        ensure(x.shape == y.shape, OpIssue::Shape)?;
        ensure(y.zero_point == -128 && y.scale == 1.0 / 256.0, OpIssue::Quantization)?;
        ensure(params.multiplier > 0, OpIssue::Params)?;
        let p = kernel(step, params).ok_or(OpIssue::Shape)?;
        ensure(p.row_len <= check::MAX_DEPTH, OpIssue::Depth)?;
        arch::softmax::softmax_s8_scratch_len(&p).ok_or(OpIssue::Shape)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(kernel(&frame.step(), params))?;
        let (x, y, scratch) = frame.unary_with_scratch(0)?;
        let exponentials = super::words(scratch).ok_or(error)?;
        arch::softmax::softmax_s8(&p, x, y, exponentials).ok_or(error)
    }
}
