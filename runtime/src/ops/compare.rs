//! Elementwise comparison.
//!
//! Inputs: `a`, `b`, both i8, both i16 or both i32, either of them constant or not, each broadcast to the output's shape by
//! the rule of numpy. Output: i8, 1 for true and 0 for false, of scale 1 and zero point 0.
//! Arithmetic: [`crate::kernels::choice::reference::compare`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{DataType, OpIssue, StepView};
use crate::kernels::choice::{Compare as Kernel, Relation};
use crate::kernels::elementwise::{Broadcast, Term};

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// 0: less, 1: less or equal, 2: equal, 3: not equal.
    pub relation: u32,
    /// Factor of the first operand, positive; 1 if the operands are i32.
    pub mult_a: i32,
    /// Factor of the second operand, likewise.
    pub mult_b: i32,
}

/// The operator.
pub struct Compare;

fn kernel<'m>(step: &StepView<'m>, params: &Params) -> Option<Kernel<'m>> {
    let (a, b, y) = (step.input(0)?, step.input(1)?, step.output(0)?);
    Some(Kernel {
        shape: Broadcast { a: a.shape, b: b.shape, out: y.shape },
        relation: Relation::from_code(params.relation)?,
        a: Term { zero_point: a.zero_point, mult: params.mult_a },
        b: Term { zero_point: b.zero_point, mult: params.mult_b },
    })
}

impl Operator for Compare {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::operands(step, 2, 1)?;
        let y = check::truth(step.output(0))?;
        let a = step.input(0).ok_or(OpIssue::Operands)?;
        let b = check::input(step, 1, a.data_type)?;
        check::broadcasts(&a, &y)?;
        check::broadcasts(&b, &y)?;
        kernel(step, params).ok_or(OpIssue::Params)?;
        match a.data_type {
            DataType::I8 | DataType::I16 => ensure(params.mult_a > 0 && params.mult_b > 0, OpIssue::Multiplier)?,
            DataType::I32 => {
                ensure(params.mult_a == 1 && params.mult_b == 1, OpIssue::Multiplier)?;
                ensure(a.zero_point == 0 && b.zero_point == 0, OpIssue::Quantization)?;
            }
            DataType::U8 => return Err(OpIssue::DataType),
        }
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(kernel(frame.step(), params))?;
        let data_type = frame.input(0)?.data_type;
        let (inputs, y, _) = frame.apart()?;
        let done = match data_type {
            DataType::I16 => arch::choice::compare::<i16>(&p, inputs.get(0).ok_or(error)?, inputs.get(1).ok_or(error)?, y),
            DataType::I32 => arch::choice::compare::<i32>(&p, inputs.get(0).ok_or(error)?, inputs.get(1).ok_or(error)?, y),
            _ => arch::choice::compare::<i8>(&p, inputs.get(0).ok_or(error)?, inputs.get(1).ok_or(error)?, y),
        };
        done.ok_or(error)
    }
}
