//! Concatenation along an axis.
//!
//! Inputs: one or more, of any one type, each constant or not, of the output's quantization, and of its shape but along the axis.
//! Output: the same type.
//! Arithmetic: [`crate::kernels::movement::reference::concat`].

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
    /// The axis along which the inputs follow each other.
    pub axis: u32,
}

/// The operator.
pub struct Concat;

impl Params {
    fn axis(&self) -> Option<usize> {
        usize::try_from(self.axis).ok()
    }
}

impl Operator for Concat {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        let inputs = step.inputs.len();
        ensure(inputs > 0, OpIssue::Operands)?;
        check::operands(step, inputs, 1)?;
        let y = step.output(0).ok_or(OpIssue::Operands)?;
        let axis = params.axis().ok_or(OpIssue::Params)?;
        let whole = y.dim(axis).ok_or(OpIssue::Params)?;
        let mut joined = 0_usize;
        for slot in 0..inputs {
            let x = check::input(step, slot, y.data_type)?;
            ensure(x.same_quantization(&y), OpIssue::Quantization)?;
            let fits = x.shape.iter().zip(y.shape).enumerate().all(|(i, (x, y))| i == axis || x == y);
            ensure(x.shape.len() == y.shape.len() && fits, OpIssue::Shape)?;
            joined = joined.saturating_add(x.dim(axis).ok_or(OpIssue::Shape)?);
        }
        ensure(joined == whole, OpIssue::Shape)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let axis = frame.expect(params.axis())?;
        let y = frame.output(0)?;
        let (out_shape, size) = (y.shape, y.data_type.size());
        let mut start = 0_usize;
        for slot in 0..frame.step().inputs.len() {
            let tensor = frame.input(slot)?;
            let p = movement::Concat { size, x_shape: tensor.shape, out_shape, axis, start };
            let (x, y) = frame.unary(slot)?;
            arch::movement::concat(&p, x, y).ok_or(error)?;
            start = start.saturating_add(tensor.dim(axis).ok_or(error)?);
        }
        Ok(())
    }
}
