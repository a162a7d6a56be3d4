//! Logarithm of the sum of the exponentials over the last axis.
//!
//! Input: `x` of elements E. Output: E of the same rank, the last axis of length 1.
//! Arithmetic: [`crate::kernels::energy::reference::log_sum_exp`].

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::check::{self, ensure};
use super::{Limits, Operator};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::fixed::Multiplier;
use crate::format::{OpIssue, StepView};
use crate::kernels::Element;
use crate::kernels::energy;
use crate::kernels::order::Along;

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// `round(s_x · 2^(26 + exp_shift))`, at least 1.
    pub exp_mult: u32,
    /// See [`Multiplier::mult`]: of the result in Q.26.
    pub mult: i32,
    /// Ends of the output.
    pub limits: Limits,
    /// See [`Multiplier::shift`].
    pub shift: u8,
    /// At most 31.
    pub exp_shift: u8,
    /// 0.
    pub reserved: [u8; 2],
}

/// The operator.
pub struct LogSumExp<E>(PhantomData<E>);

fn kernel<E: Element>(step: &StepView<'_>, params: &Params) -> Option<energy::LogSumExp<E>> {
    let (x, y) = (step.input(0)?, step.output(0)?);
    Some(energy::LogSumExp {
        row_len: Along::new(x.shape, x.shape.len().checked_sub(1)?)?.len,
        zero_point: x.zero_point,
        exp_mult: params.exp_mult,
        exp_shift: params.exp_shift,
        multiplier: Multiplier { mult: params.mult, shift: params.shift },
        output: params.limits.output(&y),
    })
}

impl<E: Element> Operator for LogSumExp<E> {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        let (x, y) = check::unary::<E>(step, 1)?;
        params.limits.check::<E>()?;
        check::multiplier::<E>(Multiplier { mult: params.mult, shift: params.shift })?;
        let sound = params.exp_mult > 0 && params.exp_shift <= 31 && params.reserved == [0; 2];
        ensure(sound, OpIssue::Params)?;
        let p = kernel::<E>(step, params).ok_or(OpIssue::Shape)?;
        ensure(p.row_len <= check::MAX_DEPTH, OpIssue::Depth)?;
        check::along(&x, &y, x.shape.len().saturating_sub(1), 1)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(kernel::<E>(frame.step(), params))?;
        let (x, y) = frame.unary(0)?;
        arch::energy::log_sum_exp(&p, x, y).ok_or(error)
    }
}
