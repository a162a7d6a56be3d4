//! Values repeated along axes.
//!
//! Input: `x` of any type. Output: the same type, quantization and number of axes; each axis is as long as that of `x`, or
//! that of `x` has length 1 and is repeated.
//! Arithmetic: [`crate::kernels::movement::reference::expand`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};
use crate::kernels::movement;

/// There are no parameters.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params;

/// The operator.
pub struct Expand;

impl Operator for Expand {
    type Params = Params;

    fn check(step: &StepView<'_>, _: &Params) -> Result<usize, OpIssue> {
        let (x, y) = check::movement(step)?;
        ensure(x.shape.len() == y.shape.len(), OpIssue::Shape)?;
        check::broadcasts(&x, &y)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, _: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let (x, y) = (frame.input(0)?, frame.output(0)?);
        let p = movement::Expand { size: x.data_type.size(), x_shape: x.shape, out_shape: y.shape };
        let (x, y) = frame.unary(0)?;
        arch::movement::expand(&p, x, y).ok_or(error)
    }
}
