//! Elementwise product.
//!
//! Inputs: `a`, `b` of elements E, either of them constant or not, each broadcast to the output's shape by the rule of numpy.
//! Output: E. May take the place of an input that has as many elements.
//! Arithmetic: [`crate::kernels::elementwise::reference::mul`].

use core::marker::PhantomData;

use super::Operator;
use super::check;
pub use super::requantize::Params;
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};
use crate::kernels::Element;
use crate::kernels::elementwise::{self, Broadcast};

/// The operator.
pub struct Mul<E>(PhantomData<E>);

fn kernel<'m, E: Element>(step: &StepView<'m>, params: &Params) -> Option<elementwise::Mul<'m, E>> {
    let (a, b, y) = (step.input(0)?, step.input(1)?, step.output(0)?);
    Some(elementwise::Mul {
        shape: Broadcast { a: a.shape, b: b.shape, out: y.shape },
        zero_points: [a.zero_point, b.zero_point],
        multiplier: params.multiplier(),
        output: params.limits.output(&y),
    })
}

impl<E: Element> Operator for Mul<E> {
    type Params = Params;
    const IN_PLACE: &'static [u8] = &[0, 1];

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::binary::<E>(step)?;
        params.check::<E>()?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(kernel::<E>(frame.step(), params))?;
        arch::elementwise::mul(&p, frame.binary()?).ok_or(error)
    }
}
