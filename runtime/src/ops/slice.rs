//! Every so many elements along each axis, forwards or backwards.
//!
//! Input: `x` of any type. Output: the same type, quantization and number of axes; its lengths say how many elements are taken.
//! Arithmetic: [`crate::kernels::movement::reference::slice`].

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
    /// First index taken along each axis; entries beyond the axes of the input are ignored.
    pub start: [i32; 8],
    /// Distance of the indices taken, not 0; entries beyond the axes of the input are ignored.
    pub step: [i32; 8],
}

/// The operator.
pub struct Slice;

/// Whether `count` indices from `start` on, each `step` after the one before, lie in `0..len`.
fn inside(len: u32, count: u32, start: i32, step: i32) -> bool {
    let [len, count, start, step] = [len.into(), count.into(), start.into(), step.into()];
    // |step| ≤ 2^31 and count < 2^32: the product is below 2^63.
    let last = i64::saturating_add(start, count.saturating_sub(1).saturating_mul(step));
    (0..len).contains(&start) && (0..len).contains(&last)
}

impl Operator for Slice {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        let (x, y) = check::movement(step)?;
        ensure(x.shape.len() == y.shape.len(), OpIssue::Shape)?;
        let lens = x.shape.iter().zip(y.shape);
        for ((&len, &count), (&start, &step)) in lens.zip(params.start.iter().zip(&params.step)) {
            ensure(step != 0 && inside(len, count, start, step), OpIssue::Params)?;
        }
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let (x, y) = (frame.input(0)?, frame.output(0)?);
        let p =
            movement::Slice { size: x.data_type.size(), x_shape: x.shape, out_shape: y.shape, start: &params.start, step: &params.step };
        let (x, y) = frame.unary(0)?;
        arch::movement::slice(&p, x, y).ok_or(error)
    }
}
