//! Any function of one variable: sigmoid, tanh, hard-swish, leaky relu …
//!
//! In int8: inputs `x` i8; `table` (256) i8 constant, whose entry `v + 128` is the result for the value v. Output: i8 of
//! the shape of `x`. Arithmetic: [`crate::kernels::elementwise::reference::table_s8`].
//!
//! In int16: inputs `x` i16; `segments` i32 constant; `knots` i32 constant, see [`elementwise::Interpolated`]. Output:
//! i16 of the shape of `x`. Arithmetic: [`crate::kernels::elementwise::reference::interpolated`].
//!
//! Both may work in place.

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{DataType, OpIssue, StepView, Tensor};
use crate::kernels::elementwise;

/// There are none in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params;

/// The operator.
pub struct Table<E>(PhantomData<E>);

fn table<'m>(step: &StepView<'m>) -> Option<&'m elementwise::Table> {
    step.constant::<i8>(1)?.try_into().ok()
}

impl Operator for Table<i8> {
    type Params = Params;
    const IN_PLACE: &'static [u8] = &[0];

    fn check(step: &StepView<'_>, _: &Params) -> Result<usize, OpIssue> {
        let (x, y) = check::unary::<i8>(step, 2)?;
        check::constant(step, 1, DataType::I8)?;
        ensure(x.shape == y.shape && table(step).is_some(), OpIssue::Shape)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, _: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let table = frame.expect(table(frame.step()))?;
        arch::elementwise::table_s8(table, frame.elementwise()?).ok_or(error)
    }
}

pub(super) fn interpolated<'m>(step: &StepView<'m>) -> Option<elementwise::Interpolated<'m>> {
    Some(elementwise::Interpolated { segments: step.constant(1)?, knots: step.constant(2)? })
}

/// What holds of any interpolation from `x` to `y`; it needs no scratch memory.
pub(super) fn check_interpolated(step: &StepView<'_>, x: &Tensor<'_>, y: &Tensor<'_>) -> Result<usize, OpIssue> {
    check::constant(step, 1, DataType::I32)?;
    check::constant(step, 2, DataType::I32)?;
    ensure(x.shape == y.shape, OpIssue::Shape)?;
    ensure(interpolated(step).is_some_and(|p| p.is_sound()), OpIssue::Table)?;
    Ok(0)
}

impl Operator for Table<i16> {
    type Params = Params;
    const IN_PLACE: &'static [u8] = &[0];

    fn check(step: &StepView<'_>, _: &Params) -> Result<usize, OpIssue> {
        let (x, y) = check::unary::<i16>(step, 3)?;
        check_interpolated(step, &x, &y)
    }

    fn run(frame: &mut Frame<'_, '_>, _: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(interpolated(frame.step()))?;
        arch::elementwise::interpolated(&p, frame.elementwise()?).ok_or(error)
    }
}
