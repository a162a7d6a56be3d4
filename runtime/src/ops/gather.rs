//! Slices along an axis, named by indices.
//!
//! Inputs: `data` of any type, `indices` i32 of any shape, either of them constant or not. Output: the type and quantization
//! of `data`; its shape is that of `data` with the axis replaced by the shape of `indices`.
//! An index counts from the end where it is negative; one that is out of range is
//! [`RunError::IndexOutOfRange`], or, where it is constant, refused by verification.
//! Arithmetic: [`crate::kernels::index::reference::gather`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{DataType, OpIssue, StepView};
use crate::kernels::index::Gather as Kernel;
use crate::kernels::order::Along;

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// The axis of `data` along which the indices count.
    pub axis: u32,
}

/// The operator.
pub struct Gather;

/// The kernel's parameters, for elements as bytes.
fn kernel(step: &StepView<'_>, params: &Params) -> Option<Kernel> {
    let data = step.input(0)?;
    let Along { outer, len, inner } = Along::new(data.shape, usize::try_from(params.axis).ok()?)?;
    Some(Kernel { outer, len, inner: inner.checked_mul(data.data_type.size())? })
}

impl Operator for Gather {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::operands(step, 2, 1)?;
        let data = step.input(0).ok_or(OpIssue::Operands)?;
        let y = check::output(step, 0, data.data_type)?;
        let indices = check::input(step, 1, DataType::I32)?;
        ensure(data.same_quantization(&y), OpIssue::Quantization)?;
        let p = kernel(step, params).ok_or(OpIssue::Params)?;
        let axis = usize::try_from(params.axis).map_err(|_| OpIssue::Params)?;
        let (before, rest) = data.shape.split_at_checked(axis).ok_or(OpIssue::Params)?;
        let behind = rest.get(1..).ok_or(OpIssue::Params)?;
        ensure(y.shape.iter().eq(before.iter().chain(indices.shape).chain(behind)), OpIssue::Shape)?;
        check::constant_indices(step, 1, p.len)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(kernel(frame.step(), params))?;
        let (inputs, y, _) = frame.apart::<u8>()?;
        let (data, indices) = inputs.get(0).zip(inputs.get(1)).ok_or(error)?;
        arch::index::gather(&p, data, indices, y).map_err(|fault| error.of(fault))
    }
}
