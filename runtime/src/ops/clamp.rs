//! Relu, relu6, clip.
//!
//! Input: `x` i8. Output: i8 of the same shape and quantization. May work in place.
//! Arithmetic: [`crate::kernels::elementwise::reference::clamp_s8`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};
use crate::kernels::elementwise;

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// Smallest output value.
    pub min: i8,
    /// Largest output value.
    pub max: i8,
    /// 0.
    pub reserved: [u8; 2],
}

/// The operator.
pub struct Clamp;

impl Operator for Clamp {
    type Params = Params;
    const IN_PLACE: &'static [u8] = &[0];

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        let (x, y) = check::movement(step)?;
        ensure(x.shape == y.shape, OpIssue::Shape)?;
        ensure(params.min <= params.max && params.reserved == [0; 2], OpIssue::Params)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = elementwise::Clamp { min: params.min, max: params.max };
        arch::elementwise::clamp_s8(&p, frame.elementwise()?).ok_or(error)
    }
}
