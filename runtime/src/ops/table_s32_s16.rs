//! Any function of an int32 number with an int16 result: the logarithm or root of a sum of squares or exponentials.
//!
//! Inputs: `x` i32; `knots` i32 constant, see [`Octaves`]. Output: i16 of the shape of `x`.
//! Arithmetic: [`crate::kernels::elementwise::reference::octaves`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{DataType, OpIssue, StepView};
use crate::kernels::elementwise::Octaves;

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// See [`Octaves::bits`].
    pub bits: u8,
    /// 0.
    pub reserved: [u8; 3],
}

/// The operator.
pub struct TableS32S16;

impl Operator for TableS32S16 {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::operands(step, 2, 1)?;
        let (x, y) = (check::input(step, 0, DataType::I32)?, check::output(step, 0, DataType::I16)?);
        check::constant(step, 1, DataType::I32)?;
        ensure(x.shape == y.shape, OpIssue::Shape)?;
        ensure(params.reserved == [0; 3], OpIssue::Params)?;
        let knots = step.constant(1).ok_or(OpIssue::Storage)?;
        ensure(Octaves { bits: params.bits, knots }.is_sound(), OpIssue::Table)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = Octaves { bits: params.bits, knots: frame.constant(1)? };
        let (x, y) = frame.unary(0)?;
        arch::elementwise::octaves(&p, x, y).ok_or(error)
    }
}
