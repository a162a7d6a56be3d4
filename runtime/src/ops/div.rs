//! Elementwise quotient.
//!
//! Inputs: `a`, `b` of elements E, either of them constant or not, each broadcast to the output's shape by the rule of
//! numpy. Output: E. May take the place of an input that has as many elements. A divisor of 0 saturates.
//! Arithmetic: [`crate::kernels::ratio::reference::div`].

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::check::{self, ensure};
use super::{Limits, Operator};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};
use crate::kernels::Element;
use crate::kernels::elementwise::Broadcast;
use crate::kernels::ratio::{self, MAX_SHIFT};

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// See [`ratio::Div::mult`].
    pub mult: i32,
    /// Ends of the output.
    pub limits: Limits,
    /// See [`ratio::Div::shift`].
    pub shift: u8,
    /// 0.
    pub reserved: [u8; 3],
}

/// The operator.
pub struct Div<E>(PhantomData<E>);

fn kernel<'m, E: Element>(step: &StepView<'m>, params: &Params) -> Option<ratio::Div<'m, E>> {
    let (a, b, y) = (step.input(0)?, step.input(1)?, step.output(0)?);
    Some(ratio::Div {
        shape: Broadcast { a: a.shape, b: b.shape, out: y.shape },
        zero_points: [a.zero_point, b.zero_point],
        mult: params.mult,
        shift: params.shift,
        output: params.limits.output(&y),
    })
}

impl<E: Element> Operator for Div<E> {
    type Params = Params;
    const IN_PLACE: &'static [u8] = &[0, 1];

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::binary::<E>(step)?;
        params.limits.check::<E>()?;
        ensure(params.mult >= 0, OpIssue::Multiplier)?;
        ensure(params.shift <= MAX_SHIFT, OpIssue::Shift)?;
        ensure(params.reserved == [0; 3], OpIssue::Params)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(kernel::<E>(frame.step(), params))?;
        arch::ratio::div(&p, frame.binary()?).ok_or(error)
    }
}
