//! Integers as real numbers.
//!
//! Input: `x` i32 of zero point 0. Output: elements E of the same shape.
//! Arithmetic: [`crate::kernels::index::reference::from_index`].

use core::marker::PhantomData;

use super::Operator;
use super::check::{self, ensure};
pub use super::requantize::Params;
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{DataType, OpIssue, StepView};
use crate::kernels::Element;

/// The operator.
pub struct FromIndex<E>(PhantomData<E>);

impl<E: Element> Operator for FromIndex<E> {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::operands(step, 1, 1)?;
        let (x, y) = (check::input(step, 0, DataType::I32)?, check::output(step, 0, E::DATA_TYPE)?);
        ensure(x.shape == y.shape, OpIssue::Shape)?;
        ensure(x.zero_point == 0, OpIssue::Quantization)?;
        params.check::<E>()?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let output = params.limits.output::<E>(&frame.output(0)?);
        let (x, y) = frame.unary(0)?;
        arch::index::from_index(params.multiplier(), &output, x, y).ok_or(error)
    }
}
