//! Long short-term memory, one direction.
//!
//! Inputs: `x` (T, B, I) of elements E; `w` (4·H, I) and `r` (4·H, H) i8 constants; `bias` (4·H) i32, `w_mult` (4·H) i32,
//! `w_shift` (4·H) u8, `r_mult` (4·H) i32, `r_shift` (4·H) u8 constants; `h` (B, H) and `c` (B, H) of elements E, not one
//! tensor in memory. Outputs: `y` (T, B, H), all states; `c` (B, H), the last cell state.
//! Arithmetic: [`crate::kernels::recurrence::reference::lstm`].

use core::marker::PhantomData;

use super::Operator;
use super::check::ensure;
use super::recurrence::{self, Shape};
pub use super::recurrence::Params;
use crate::arch;
use crate::exec::{Frame, Operands, RunError};
use crate::format::{OpIssue, StepView};
use crate::kernels::Element;

const SHAPE: Shape = Shape { gates: 4, biases: 4, cell: true, exact: true };

/// The operator.
pub struct Lstm<E>(PhantomData<E>);

impl<E: Element> Operator for Lstm<E> {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        ensure(params.variant == 0, OpIssue::Params)?;
        recurrence::check::<E>(step, params, &SHAPE)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(recurrence::kernel(frame.step(), params))?;
        let cell = frame.expect(recurrence::cell(frame.step(), params))?;
        let Operands { inputs, outputs: [y, c], scratch } = frame.operands::<E>([0, recurrence::H, recurrence::C])?;
        let scratch = SHAPE.scratch(&p, scratch).ok_or(error)?;
        arch::recurrence::lstm(&p, &cell, inputs, y, c, scratch).ok_or(error)
    }
}
