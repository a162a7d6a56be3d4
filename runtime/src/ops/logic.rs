//! And, or, exclusive or of truth values.
//!
//! Inputs: `a`, `b` i8 truth values, either of them constant or not, each broadcast to the output's shape by the rule of
//! numpy. Output: i8, 1 for true and 0 for false. Truth values have scale 1 and zero point 0.
//! Arithmetic: [`crate::kernels::choice::reference::logic`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check;
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};
use crate::kernels::choice::{Connective, Logic as Kernel};
use crate::kernels::elementwise::Broadcast;

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// 0: and, 1: or, 2: exclusive or.
    pub connective: u32,
}

/// The operator.
pub struct Logic;

fn kernel<'m>(step: &StepView<'m>, params: &Params) -> Option<Kernel<'m>> {
    let shape = Broadcast { a: step.input(0)?.shape, b: step.input(1)?.shape, out: step.output(0)?.shape };
    Some(Kernel { shape, connective: Connective::from_code(params.connective)? })
}

impl Operator for Logic {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::operands(step, 2, 1)?;
        let y = check::truth(step.output(0))?;
        for slot in [0, 1] {
            check::broadcasts(&check::truth(step.input(slot))?, &y)?;
        }
        kernel(step, params).ok_or(OpIssue::Params)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(kernel(frame.step(), params))?;
        let (inputs, y, _) = frame.apart()?;
        let (a, b) = inputs.get(0).zip(inputs.get(1)).ok_or(error)?;
        arch::choice::logic(&p, a, b, y).ok_or(error)
    }
}
