//! An element for each index.
//!
//! Inputs: `data` of any type, `indices` i32 of as many axes and along each but the gathered one at most as long, either of
//! them constant or not. Output: the type and quantization of `data`, the shape of `indices`.
//! An index counts from the end where it is negative; one that is out of range is [`RunError::IndexOutOfRange`].
//! Arithmetic: [`crate::kernels::index::reference::gather_elements`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
pub use super::gather::Params;
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{DataType, OpIssue, StepView, Tensor};
use crate::kernels::index::GatherElements as Kernel;

/// The operator.
pub struct GatherElements;

/// That `indices` fits into `data` along every axis but `axis`.
pub(super) fn fits(data: &Tensor<'_>, indices: &Tensor<'_>, axis: u32) -> Result<(), OpIssue> {
    let axis = usize::try_from(axis).map_err(|_| OpIssue::Params)?;
    ensure(axis < data.shape.len(), OpIssue::Params)?;
    let mut pairs = data.shape.iter().zip(indices.shape).enumerate();
    let inside = pairs.all(|(i, (data, index))| i == axis || index <= data);
    ensure(data.shape.len() == indices.shape.len() && inside, OpIssue::Shape)
}

fn run<T>(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError>
where
    T: Copy + FromBytes + IntoBytes + Immutable + KnownLayout,
{
    let error = frame.inconsistent();
    let axis = frame.expect(usize::try_from(params.axis).ok())?;
    let p = Kernel { data_shape: frame.input(0)?.shape, shape: frame.output(0)?.shape, axis };
    let (inputs, y, _) = frame.apart::<T>()?;
    let (data, indices) = inputs.get(0).zip(inputs.get(1)).ok_or(error)?;
    arch::index::gather_elements(&p, data, indices, y).map_err(|fault| error.of(fault))
}

impl Operator for GatherElements {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::operands(step, 2, 1)?;
        let data = step.input(0).ok_or(OpIssue::Operands)?;
        let y = check::output(step, 0, data.data_type)?;
        let indices = check::input(step, 1, DataType::I32)?;
        ensure(data.same_quantization(&y), OpIssue::Quantization)?;
        ensure(y.shape == indices.shape, OpIssue::Shape)?;
        fits(&data, &indices, params.axis)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        match frame.output(0)?.data_type.size() {
            1 => run::<u8>(frame, params),
            2 => run::<u16>(frame, params),
            _ => run::<u32>(frame, params),
        }
    }
}
