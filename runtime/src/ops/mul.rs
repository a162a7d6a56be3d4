//! Elementwise product.
//!
//! Inputs: `a` i8, `b` i8, either of them constant or not, each broadcast to the output's shape by the rule of numpy.
//! Output: i8. May take the place of an input that has as many elements.
//! Arithmetic: [`crate::kernels::elementwise::reference::mul_s8`].

use super::Operator;
use super::check;
pub use super::requantize::Params;
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};
use crate::kernels::elementwise::{self, Broadcast};

/// The operator.
pub struct Mul;

fn kernel<'m>(step: &StepView<'m>, params: &Params) -> Option<elementwise::Mul<'m>> {
    let (a, b, y) = (step.input(0)?, step.input(1)?, step.output(0)?);
    Some(elementwise::Mul {
        shape: Broadcast { a: a.shape, b: b.shape, out: y.shape },
        zero_points: [a.zero_point, b.zero_point],
        multiplier: params.multiplier(),
        output: params.output(&y),
    })
}

impl Operator for Mul {
    type Params = Params;
    const IN_PLACE: &'static [u8] = &[0, 1];

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::binary(step)?;
        params.check()?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(kernel(&frame.step(), params))?;
        arch::elementwise::mul_s8(&p, frame.binary()?).ok_or(error)
    }
}
