//! Plain recurrence, one direction.
//!
//! Inputs: as [`mod@super::lstm`] with H rows, `bias` (H), and without `c`. Output: `y` (T, B, H), all states.
//! Arithmetic: [`crate::kernels::recurrence::reference::rnn`].

use core::marker::PhantomData;

use super::Operator;
use super::check::ensure;
use super::recurrence::{self, Shape};
pub use super::recurrence::Params;
use crate::arch;
use crate::exec::{Frame, Operands, RunError};
use crate::format::{OpIssue, StepView};
use crate::kernels::Element;

const SHAPE: Shape = Shape { gates: 1, biases: 1, cell: false, exact: false };

/// The operator.
pub struct Rnn<E>(PhantomData<E>);

impl<E: Element> Operator for Rnn<E> {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        ensure(params.variant <= 1, OpIssue::Params)?;
        recurrence::check::<E>(step, params, &SHAPE)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(recurrence::kernel(frame.step(), params))?;
        let Operands { inputs: [x, h, _], outputs: [y, _], scratch } =
            frame.operands::<E>([0, recurrence::H, recurrence::C])?;
        let scratch = SHAPE.scratch(&p, scratch).ok_or(error)?;
        arch::recurrence::rnn(&p, params.variant == 1, [x, h], y, scratch).ok_or(error)
    }
}
