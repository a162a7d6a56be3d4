//! Elementwise sum.
//!
//! Inputs: `a` i8, `b` i8, either of them constant or not, each broadcast to the output's shape by the rule of numpy.
//! Output: i8. May take the place of an input that has as many elements.
//! Arithmetic: [`crate::kernels::elementwise::reference::add_s8`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};
use crate::kernels::Output;
use crate::kernels::elementwise::{self, Broadcast, Term};

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// Factor of the first operand, at most [`elementwise::Add::MAX_FACTOR`] in absolute value.
    pub mult_a: i32,
    /// Factor of the second operand, likewise.
    pub mult_b: i32,
    /// Binary exponent by which the sum is divided, at most [`elementwise::Add::MAX_SHIFT`].
    pub shift: u8,
    /// Smallest output value: the fused activation's lower end.
    pub min: i8,
    /// Largest output value: the fused activation's upper end.
    pub max: i8,
    /// 0.
    pub reserved: u8,
}

/// The operator.
pub struct Add;

fn kernel<'m>(step: &StepView<'m>, params: &Params) -> Option<elementwise::Add<'m>> {
    let (a, b, y) = (step.input(0)?, step.input(1)?, step.output(0)?);
    Some(elementwise::Add {
        shape: Broadcast { a: a.shape, b: b.shape, out: y.shape },
        a: Term { zero_point: a.zero_point, mult: params.mult_a },
        b: Term { zero_point: b.zero_point, mult: params.mult_b },
        shift: params.shift,
        output: Output { zero_point: y.zero_point, min: params.min, max: params.max },
    })
}

impl Operator for Add {
    type Params = Params;
    const IN_PLACE: &'static [u8] = &[0, 1];

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::binary(step)?;
        let in_range = |mult: i32| mult.unsigned_abs() <= elementwise::Add::MAX_FACTOR;
        ensure(in_range(params.mult_a) && in_range(params.mult_b), OpIssue::Multiplier)?;
        ensure(params.shift <= elementwise::Add::MAX_SHIFT, OpIssue::Shift)?;
        ensure(params.min <= params.max && params.reserved == 0, OpIssue::Params)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(kernel(&frame.step(), params))?;
        arch::elementwise::add_s8(&p, frame.binary()?).ok_or(error)
    }
}
