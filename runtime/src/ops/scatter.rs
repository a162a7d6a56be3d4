//! A tensor with updates put at places that indices name.
//!
//! Inputs: `data`, `indices` i32, `updates`, each of them constant or not; data and updates of any one type and
//! quantization. Output: the same type, quantization and shape as `data`. Mode 0, elements: indices and updates have one
//! shape, of as many axes as `data`, and each index replaces the coordinate along `axis`. Mode 1, blocks: indices are
//! `(…, depth)`, updates `(…) ++ data.shape[depth..]`. Of several updates at one place the last one stays.
//! An index counts from the end where it is negative; one that is out of range is [`RunError::IndexOutOfRange`].
//! Arithmetic: [`crate::kernels::index::reference::scatter`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use super::gather_elements::fits;
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{DataType, OpIssue, StepView};
use crate::kernels::index::{Places, Scatter as Kernel};

/// Parameters in the file: also those of [`super::scatter_add`].
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// 0: elements, 1: blocks.
    pub mode: u32,
    /// The axis of mode 0; 0 in mode 1.
    pub axis: u32,
}

/// The operator.
pub struct Scatter;

pub(super) fn kernel<'m>(step: &StepView<'m>, params: &Params) -> Option<Kernel<'m>> {
    let (data, indices) = (step.input(0)?, step.input(1)?);
    let places = match params.mode {
        0 => Places::Elements { shape: indices.shape, axis: usize::try_from(params.axis).ok()? },
        1 => Places::Nd { depth: usize::try_from(*indices.shape.last()?).ok()? },
        _ => return None,
    };
    Some(Kernel { data_shape: data.shape, places })
}

pub(super) fn check(step: &StepView<'_>, params: &Params) -> Result<(), OpIssue> {
    check::operands(step, 3, 1)?;
    let data = step.input(0).ok_or(OpIssue::Operands)?;
    let (updates, y) = (check::input(step, 2, data.data_type)?, check::output(step, 0, data.data_type)?);
    let indices = check::input(step, 1, DataType::I32)?;
    ensure(data.same_quantization(&y) && updates.same_quantization(&y), OpIssue::Quantization)?;
    ensure(data.shape == y.shape, OpIssue::Shape)?;
    match kernel(step, params).ok_or(OpIssue::Params)?.places {
        Places::Elements { .. } => {
            fits(&data, &indices, params.axis)?;
            ensure(indices.shape == updates.shape, OpIssue::Shape)
        }
        Places::Nd { depth } => {
            ensure(params.axis == 0, OpIssue::Params)?;
            let (_, tuples) = indices.shape.split_last().ok_or(OpIssue::Shape)?;
            let block = data.shape.get(depth..).ok_or(OpIssue::Shape)?;
            ensure(updates.shape.iter().eq(tuples.iter().chain(block)), OpIssue::Shape)
        }
    }
}

fn run<T>(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError>
where
    T: Copy + FromBytes + IntoBytes + Immutable + KnownLayout,
{
    let error = frame.inconsistent();
    let p = frame.expect(kernel(frame.step(), params))?;
    let (inputs, y, _) = frame.apart::<T>()?;
    let indices = inputs.get(1).ok_or(error)?;
    let (data, updates) = inputs.get(0).zip(inputs.get(2)).ok_or(error)?;
    arch::index::scatter(&p, data, indices, updates, y).map_err(|fault| error.of(fault))
}

impl Operator for Scatter {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check(step, params)?;
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
