//! Another shape for the same elements.
//!
//! Input: `x` of any type. Output: the same type, quantization and number of elements, in the same order. In place there is
//! nothing to do.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};
use crate::kernels::Unary;

/// There are none in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params;

/// The operator.
pub struct Reshape;

impl Operator for Reshape {
    type Params = Params;
    const IN_PLACE: &'static [u8] = &[0];

    fn check(step: &StepView<'_>, _: &Params) -> Result<usize, OpIssue> {
        let (x, y) = check::movement(step)?;
        ensure(x.len == y.len, OpIssue::Shape)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, _: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        match frame.elementwise::<u8>()? {
            Unary::InPlace(_) => Ok(()),
            apart => apart.map(|x| x).ok_or(error),
        }
    }
}
