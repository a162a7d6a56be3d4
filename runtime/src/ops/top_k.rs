//! Indices of the k largest or smallest elements along an axis, the extreme one first; of equal ones the first.
//!
//! Input: `x` i8, i16 or i32. Output: i32, the same rank; its length along the axis is k. The elements themselves are had by
//! [`super::gather_elements`].
//! Arithmetic: [`crate::kernels::order::reference::top_k`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{DataType, OpIssue, StepView};
use crate::kernels::order::{Along, TopK as Kernel};

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// The axis.
    pub axis: u16,
    /// 1 for the largest elements, 0 for the smallest.
    pub largest: u16,
}

/// The operator.
pub struct TopK;

fn kernel(step: &StepView<'_>, params: &Params) -> Option<Kernel> {
    let along = Along::new(step.input(0)?.shape, params.axis.into())?;
    let k = step.output(0)?.dim(params.axis.into())?;
    (k <= along.len).then_some(Kernel { along, k, largest: params.largest != 0 })
}

impl Operator for TopK {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::operands(step, 1, 1)?;
        let x = check::ordered(step.input(0))?;
        let y = check::output(step, 0, DataType::I32)?;
        ensure(params.largest <= 1, OpIssue::Params)?;
        let p = kernel(step, params).ok_or(OpIssue::Shape)?;
        check::along(&x, &y, params.axis.into(), p.k)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(kernel(frame.step(), params))?;
        let data_type = frame.input(0)?.data_type;
        let (inputs, y, _) = frame.apart()?;
        let done = match data_type {
            DataType::I32 => arch::order::top_k::<i32>(&p, inputs.get(0).ok_or(error)?, y),
            DataType::I16 => arch::order::top_k::<i16>(&p, inputs.get(0).ok_or(error)?, y),
            _ => arch::order::top_k::<i8>(&p, inputs.get(0).ok_or(error)?, y),
        };
        done.ok_or(error)
    }
}
