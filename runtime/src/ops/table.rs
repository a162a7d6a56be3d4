//! Any function of one variable: sigmoid, tanh, hard-swish, leaky relu …
//!
//! Inputs: `x` i8; `table` (256) i8 constant, whose entry `v + 128` is the result for the value v. Output: i8 of the
//! shape of `x`. May work in place.
//! Arithmetic: [`crate::kernels::elementwise::reference::table_s8`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{DataType, OpIssue, StepView};
use crate::kernels::elementwise;

/// There are none in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params;

/// The operator.
pub struct Table;

fn kernel<'m>(step: &StepView<'m>) -> Option<&'m elementwise::Table> {
    step.constant::<i8>(1)?.try_into().ok()
}

impl Operator for Table {
    type Params = Params;
    const IN_PLACE: &'static [u8] = &[0];

    fn check(step: &StepView<'_>, _: &Params) -> Result<usize, OpIssue> {
        let (x, y) = check::unary::<i8>(step, 2)?;
        check::constant(step, 1, DataType::I8)?;
        ensure(x.shape == y.shape && kernel(step).is_some(), OpIssue::Shape)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, _: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let table = frame.expect(kernel(&frame.step()))?;
        arch::elementwise::table_s8(table, frame.elementwise()?).ok_or(error)
    }
}
