//! Any function of an int16 number with an int32 result: the square or exponential of a signal whose sums enter a logarithm or
//! a root.
//!
//! Inputs: `x` i16; `segments` i32 constant; `knots` i32 constant, whole numbers, see
//! [`crate::kernels::elementwise::Interpolated`]. Output: i32 of the shape of `x`.
//! Arithmetic: [`crate::kernels::elementwise::reference::interpolated_wide`].

use super::Operator;
use super::check;
use super::table::{Params, check_interpolated, interpolated};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{DataType, OpIssue, StepView};

/// The operator.
pub struct TableS16S32;

impl Operator for TableS16S32 {
    type Params = Params;

    fn check(step: &StepView<'_>, _: &Params) -> Result<usize, OpIssue> {
        check::operands(step, 3, 1)?;
        let (x, y) = (check::input(step, 0, DataType::I16)?, check::output(step, 0, DataType::I32)?);
        check_interpolated(step, &x, &y)
    }

    fn run(frame: &mut Frame<'_, '_>, _: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(interpolated(frame.step()))?;
        let (x, y) = frame.unary(0)?;
        arch::elementwise::interpolated_wide(&p, x, y).ok_or(error)
    }
}
