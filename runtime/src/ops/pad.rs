//! Padding with a constant.
//!
//! Input: `x` of any type. Output: the same type, quantization and number of axes, each longer by what is added.
//! Arithmetic: [`crate::kernels::movement::reference::pad`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};
use crate::kernels::movement;

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// Elements added in front of each axis; 0 beyond the axes of the input.
    pub before: [u16; 8],
    /// Elements added behind each axis; 0 beyond the axes of the input.
    pub after: [u16; 8],
    /// Their value: the bytes of an element, then 0.
    pub value: [u8; 4],
}

/// The operator.
pub struct Pad;

impl Operator for Pad {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        let (x, y) = check::movement(step)?;
        let rank = x.shape.len();
        ensure(y.shape.len() == rank, OpIssue::Shape)?;
        let pads = || params.before.iter().zip(&params.after);
        let padded = |(&x, (&before, &after)): (&u32, (&u16, &u16))| {
            x.checked_add(before.into()).and_then(|sum| sum.checked_add(after.into()))
        };
        ensure(x.shape.iter().zip(pads()).map(padded).eq(y.shape.iter().map(|&y| Some(y))), OpIssue::Shape)?;
        let unused = pads().skip(rank).all(|pads| pads == (&0, &0));
        let (_, rest) = params.value.split_at_checked(x.data_type.size()).ok_or(OpIssue::DataType)?;
        ensure(unused && rest.iter().all(|&byte| byte == 0), OpIssue::Params)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let (x, y) = (frame.input(0)?, frame.output(0)?);
        let value = frame.expect(params.value.get(..x.data_type.size()))?;
        let p = movement::Pad { x_shape: x.shape, out_shape: y.shape, before: &params.before, value };
        let (x, y) = frame.unary(0)?;
        arch::movement::pad(&p, x, y).ok_or(error)
    }
}
