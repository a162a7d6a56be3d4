//! Mean over axes.
//!
//! Input: `x` of elements E, of any shape. Output: the same rank, the reduced axes of length 1. The divisor is part of the factor.
//! Arithmetic: [`crate::kernels::reduce::reference::reduce`].

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Limits, Operator};
use super::check::{self, ensure};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::fixed::Multiplier;
use crate::format::{OpIssue, StepView};
use crate::kernels::Element;
use crate::kernels::reduce::Reduce;

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// Bit i is set if axis i is reduced.
    pub axes: u32,
    /// See [`Multiplier::mult`].
    pub mult: i32,
    /// Ends of the output.
    pub limits: Limits,
    /// See [`Multiplier::shift`].
    pub shift: u8,
    /// 0.
    pub reserved: [u8; 3],
}

/// The operator.
pub struct ReduceMean<E>(PhantomData<E>);

fn kernel<'m, E: Element>(step: &StepView<'m>, params: &Params) -> Option<Reduce<'m, E>> {
    let (x, y) = (step.input(0)?, step.output(0)?);
    Some(Reduce {
        shape: x.shape,
        axes: params.axes,
        in_zero_point: x.zero_point,
        factor: Multiplier { mult: params.mult, shift: params.shift },
        output: params.limits.output(&y),
    })
}

pub(super) fn check<E: Element>(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
    check::operands(step, 1, 1)?;
    let (x, y) = (check::input(step, 0, E::DATA_TYPE)?, check::output(step, 0, E::DATA_TYPE)?);
    params.limits.check::<E>()?;
    ensure(params.reserved == [0; 3], OpIssue::Params)?;
    check::multiplier::<E>(Multiplier { mult: params.mult, shift: params.shift })?;
    let rank = x.shape.len();
    ensure(params.axes.checked_shr(rank.try_into().unwrap_or(u32::MAX)).unwrap_or(0) == 0, OpIssue::Params)?;
    let p = kernel::<E>(step, params).ok_or(OpIssue::Shape)?;
    let as_wanted = |(axis, (&from, &to)): (usize, (&u32, &u32))| to == if p.reduces(axis) { 1 } else { from };
    ensure(y.shape.len() == rank && x.shape.iter().zip(y.shape).enumerate().all(as_wanted), OpIssue::Shape)?;
    let summed = x.len.checked_div(y.len).ok_or(OpIssue::Shape)?;
    ensure(summed <= E::MAX_SUMMED, OpIssue::Depth)?;
    arch::reduce::reduce_scratch_len(&p).ok_or(OpIssue::Shape)
}

pub(super) fn run<E: Element>(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
    let error = frame.inconsistent();
    let p = frame.expect(kernel::<E>(frame.step(), params))?;
    let (x, y, scratch) = frame.unary_with_scratch(0)?;
    let sums = super::elements(scratch).ok_or(error)?;
    arch::reduce::reduce(&p, x, y, sums).ok_or(error)
}

impl<E: Element> Operator for ReduceMean<E> {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::<E>(step, params)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        run::<E>(frame, params)
    }
}
