//! Sum of squares over axes, or its root.
//!
//! Input: `x` of elements E. Output: E of the same rank, the reduced axes of length 1.
//! Arithmetic: [`crate::kernels::energy::reference::reduce_square`].

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::check::{self, ensure};
use super::{Limits, Operator};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::fixed::Multiplier;
use crate::format::{OpIssue, StepView};
use crate::kernels::Element;
use crate::kernels::energy::{self, MAX_SQUARES};

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
    /// 1 if the root is taken, else 0.
    pub root: u8,
    /// 0.
    pub reserved: [u8; 2],
}

/// The operator.
pub struct ReduceSquare<E>(PhantomData<E>);

fn kernel<'m, E: Element>(step: &StepView<'m>, params: &Params) -> Option<energy::ReduceSquare<'m, E>> {
    let (x, y) = (step.input(0)?, step.output(0)?);
    Some(energy::ReduceSquare {
        shape: x.shape,
        axes: params.axes,
        zero_point: x.zero_point,
        root: params.root != 0,
        multiplier: Multiplier { mult: params.mult, shift: params.shift },
        output: params.limits.output(&y),
    })
}

impl<E: Element> Operator for ReduceSquare<E> {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        let (x, y) = check::unary::<E>(step, 1)?;
        params.limits.check::<E>()?;
        check::multiplier::<E>(Multiplier { mult: params.mult, shift: params.shift })?;
        ensure(params.root <= 1 && params.reserved == [0; 2], OpIssue::Params)?;
        check::reduced(&x, &y, params.axes)?;
        ensure(x.len.checked_div(y.len).is_some_and(|n| n <= MAX_SQUARES), OpIssue::Depth)?;
        arch::energy::reduce_square_scratch_len(y.len).ok_or(OpIssue::Shape)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(kernel::<E>(frame.step(), params))?;
        let (x, y, scratch) = frame.unary_with_scratch(0)?;
        let sums = super::elements(scratch).ok_or(error)?;
        arch::energy::reduce_square(&p, x, y, sums).ok_or(error)
    }
}
