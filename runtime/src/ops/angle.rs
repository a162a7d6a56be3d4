//! Angle of a point: arc tangent of a quotient, or of the point in all four quadrants.
//!
//! Inputs: ordinate `a` and abscissa `b` of elements E, either of them constant or not, each broadcast to the output's
//! shape by the rule of numpy. Output: E, in radians. May take the place of an input that has as many elements.
//! Arithmetic: [`crate::kernels::ratio::reference::angle`].

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::check::{self, ensure};
use super::{Limits, Operator};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::fixed::Multiplier;
use crate::format::{OpIssue, StepView};
use crate::kernels::Element;
use crate::kernels::elementwise::{Broadcast, Term};
use crate::kernels::ratio;

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// Factor of the ordinate, positive.
    pub mult_a: i32,
    /// Factor of the abscissa, positive.
    pub mult_b: i32,
    /// See [`Multiplier::mult`]: of the angle in Q2.29.
    pub mult: i32,
    /// Ends of the output.
    pub limits: Limits,
    /// See [`Multiplier::shift`].
    pub shift: u8,
    /// 1 if all four quadrants are told apart, else 0.
    pub full: u8,
    /// 0.
    pub reserved: [u8; 2],
}

/// The operator.
pub struct Angle<E>(PhantomData<E>);

fn kernel<'m, E: Element>(step: &StepView<'m>, params: &Params) -> Option<ratio::Angle<'m, E>> {
    let (a, b, y) = (step.input(0)?, step.input(1)?, step.output(0)?);
    Some(ratio::Angle {
        shape: Broadcast { a: a.shape, b: b.shape, out: y.shape },
        a: Term { zero_point: a.zero_point, mult: params.mult_a },
        b: Term { zero_point: b.zero_point, mult: params.mult_b },
        full: params.full != 0,
        multiplier: Multiplier { mult: params.mult, shift: params.shift },
        output: params.limits.output(&y),
    })
}

impl<E: Element> Operator for Angle<E> {
    type Params = Params;
    const IN_PLACE: &'static [u8] = &[0, 1];

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::binary::<E>(step)?;
        params.limits.check::<E>()?;
        ensure(params.mult_a > 0 && params.mult_b > 0, OpIssue::Multiplier)?;
        check::multiplier::<E>(Multiplier { mult: params.mult, shift: params.shift })?;
        ensure(params.full <= 1 && params.reserved == [0; 2], OpIssue::Params)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(kernel::<E>(frame.step(), params))?;
        arch::ratio::angle(&p, frame.binary()?).ok_or(error)
    }
}
