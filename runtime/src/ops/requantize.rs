//! Change of scale and zero point.
//!
//! Input: `x` i8. Output: i8 of the same shape. May work in place.
//! Arithmetic: [`crate::kernels::elementwise::reference::requantize_s8`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::fixed::Multiplier;
use crate::format::{OpIssue, StepView, Tensor};
use crate::kernels::{Output, elementwise};

/// Parameters in the file: also those of [`super::mul`].
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// See [`Multiplier::mult`].
    pub mult: i32,
    /// See [`Multiplier::shift`].
    pub shift: u8,
    /// Smallest output value: the fused activation's lower end.
    pub min: i8,
    /// Largest output value: the fused activation's upper end.
    pub max: i8,
    /// 0.
    pub reserved: u8,
}

/// The operator.
pub struct Requantize;

impl Params {
    pub(super) fn multiplier(&self) -> Multiplier {
        Multiplier { mult: self.mult, shift: self.shift }
    }

    pub(super) fn output(&self, y: &Tensor<'_>) -> Output {
        Output { zero_point: y.zero_point, min: self.min, max: self.max }
    }

    pub(super) fn check(&self) -> Result<(), OpIssue> {
        check::multiplier(self.multiplier())?;
        ensure(self.min <= self.max && self.reserved == 0, OpIssue::Params)
    }
}

impl Operator for Requantize {
    type Params = Params;
    const IN_PLACE: &'static [u8] = &[0];

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        let (x, y) = check::unary(step, 1)?;
        ensure(x.shape == y.shape, OpIssue::Shape)?;
        params.check()?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let (x, y) = (frame.input(0)?, frame.output(0)?);
        let p = elementwise::Requantize {
            zero_point: x.zero_point,
            multiplier: params.multiplier(),
            output: params.output(&y),
        };
        arch::elementwise::requantize_s8(&p, frame.elementwise()?).ok_or(error)
    }
}
