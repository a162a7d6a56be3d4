//! Blocks that tuples of indices name.
//!
//! Inputs: `data` of any type, `indices` i32 `(batch…, …, depth)`, either of them constant or not; the leading `batch_axes`
//! axes of both are the same. Output: the type and quantization of `data`, of shape
//! `indices.shape[..−1] ++ data.shape[batch_axes + depth..]`.
//! An index counts from the end where it is negative; one that is out of range is [`RunError::IndexOutOfRange`].
//! Arithmetic: [`crate::kernels::index::reference::gather_nd`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{DataType, OpIssue, StepView};
use crate::kernels::index::GatherNd as Kernel;
use crate::kernels::nest::elements;

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// Number of leading axes that data and indices share.
    pub batch_axes: u32,
}

/// The operator.
pub struct GatherNd;

/// The kernel's parameters, for elements as bytes.
fn kernel<'m>(step: &StepView<'m>, params: &Params) -> Option<Kernel<'m>> {
    let (data, indices) = (step.input(0)?, step.input(1)?);
    let depth = usize::try_from(*indices.shape.last()?).ok()?;
    let (batch, rest) = data.shape.split_at_checked(usize::try_from(params.batch_axes).ok()?)?;
    let (dims, block) = rest.split_at_checked(depth)?;
    let inner = elements(block)?.checked_mul(data.data_type.size())?;
    Some(Kernel { batches: elements(batch)?, dims, inner })
}

impl Operator for GatherNd {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::operands(step, 2, 1)?;
        let data = step.input(0).ok_or(OpIssue::Operands)?;
        let y = check::output(step, 0, data.data_type)?;
        let indices = check::input(step, 1, DataType::I32)?;
        ensure(data.same_quantization(&y), OpIssue::Quantization)?;
        let p = kernel(step, params).ok_or(OpIssue::Shape)?;
        let (_, tuples) = indices.shape.split_last().ok_or(OpIssue::Shape)?;
        let shared = usize::try_from(params.batch_axes).map_err(|_| OpIssue::Params)?;
        ensure(tuples.get(..shared).is_some() && tuples.get(..shared) == data.shape.get(..shared), OpIssue::Shape)?;
        let block = data.shape.get(shared.saturating_add(p.dims.len())..).ok_or(OpIssue::Shape)?;
        ensure(y.shape.iter().eq(tuples.iter().chain(block)), OpIssue::Shape)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(kernel(frame.step(), params))?;
        let (inputs, y, _) = frame.apart::<u8>()?;
        let (data, indices) = inputs.get(0).zip(inputs.get(1)).ok_or(error)?;
        arch::index::gather_nd(&p, data, indices, y).map_err(|fault| error.of(fault))
    }
}
