//! Index of the largest or smallest element along an axis.
//!
//! Input: `x` i8, i16 or i32. Output: i32, the same rank, the axis of length 1.
//! Arithmetic: [`crate::kernels::order::reference::arg_extreme`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{DataType, OpIssue, StepView};
use crate::kernels::order::{Along, ArgExtreme as Kernel};

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// The axis.
    pub axis: u16,
    /// 1 for the largest element, 0 for the smallest.
    pub largest: u8,
    /// 1 for the last of several equal elements, 0 for the first.
    pub last: u8,
}

/// The operator.
pub struct ArgExtreme;

fn kernel(step: &StepView<'_>, params: &Params) -> Option<Kernel> {
    let along = Along::new(step.input(0)?.shape, params.axis.into())?;
    Some(Kernel { along, largest: params.largest != 0, last: params.last != 0 })
}

impl Operator for ArgExtreme {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::operands(step, 1, 1)?;
        let x = check::ordered(step.input(0))?;
        let y = check::output(step, 0, DataType::I32)?;
        kernel(step, params).ok_or(OpIssue::Params)?;
        ensure(params.largest <= 1 && params.last <= 1, OpIssue::Params)?;
        check::along(&x, &y, params.axis.into(), 1)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(kernel(frame.step(), params))?;
        let data_type = frame.input(0)?.data_type;
        let (inputs, y, _) = frame.apart()?;
        let done = match data_type {
            DataType::I32 => arch::order::arg_extreme::<i32>(&p, inputs.get(0).ok_or(error)?, y),
            DataType::I16 => arch::order::arg_extreme::<i16>(&p, inputs.get(0).ok_or(error)?, y),
            _ => arch::order::arg_extreme::<i8>(&p, inputs.get(0).ok_or(error)?, y),
        };
        done.ok_or(error)
    }
}
