//! Running sum along an axis.
//!
//! Input: `x` of elements E. Output: E of the same shape.
//! Arithmetic: [`crate::kernels::scan::reference::cumulative_sum`].

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::check::{self, ensure};
use super::{Limits, Operator};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::fixed::Multiplier;
use crate::format::{OpIssue, StepView};
use crate::kernels::Element;
use crate::kernels::order::Along;
use crate::kernels::scan::{self, MAX_LEN};

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// See [`Multiplier::mult`].
    pub mult: i32,
    /// Ends of the output.
    pub limits: Limits,
    /// See [`Multiplier::shift`].
    pub shift: u8,
    /// The axis.
    pub axis: u8,
    /// 1 if an element is left out of its own sum, else 0.
    pub exclusive: u8,
    /// 1 if the sum runs from the end, else 0.
    pub reverse: u8,
}

/// The operator.
pub struct CumulativeSum<E>(PhantomData<E>);

fn kernel<E: Element>(step: &StepView<'_>, params: &Params) -> Option<scan::CumulativeSum<E>> {
    let (x, y) = (step.input(0)?, step.output(0)?);
    Some(scan::CumulativeSum {
        along: Along::new(x.shape, params.axis.into())?,
        exclusive: params.exclusive != 0,
        reverse: params.reverse != 0,
        zero_point: x.zero_point,
        multiplier: Multiplier { mult: params.mult, shift: params.shift },
        output: params.limits.output(&y),
    })
}

impl<E: Element> Operator for CumulativeSum<E> {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        let (x, y) = check::unary::<E>(step, 1)?;
        ensure(x.shape == y.shape, OpIssue::Shape)?;
        params.limits.check::<E>()?;
        check::multiplier::<E>(Multiplier { mult: params.mult, shift: params.shift })?;
        ensure(params.exclusive <= 1 && params.reverse <= 1, OpIssue::Params)?;
        let p = kernel::<E>(step, params).ok_or(OpIssue::Params)?;
        ensure(p.along.len <= MAX_LEN, OpIssue::Depth)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(kernel::<E>(frame.step(), params))?;
        let (x, y) = frame.unary(0)?;
        arch::scan::cumulative_sum(&p, x, y).ok_or(error)
    }
}
