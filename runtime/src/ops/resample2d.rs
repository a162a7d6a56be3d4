//! Resampling of images by constant weights: resizing, padding by reflection.
//!
//! Inputs: `x` (N, H, W, C) of elements E; `row` (OH, K) i16 and `row_weight` (OH, K) i32 constants; `column` (OW, L) i16
//! and `column_weight` (OW, L) i32 constants. Output: (N, OH, OW, C) of elements E.
//! Arithmetic: [`crate::kernels::resample::reference::resample2d`].

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::check::{self, ensure};
use super::{Limits, Operator};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{DataType, OpIssue, StepView};
use crate::kernels::Element;
use crate::kernels::resample::{MAX_WEIGHT_SUM, Resample2d as Kernel, Taps};

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// Ends of the output.
    pub limits: Limits,
}

/// The operator.
pub struct Resample2d<E>(PhantomData<E>);

/// The taps in the constant inputs `slot` and `slot + 1`.
fn taps<'m>(step: &StepView<'m>, slot: usize) -> Option<Taps<'m>> {
    let width = step.input(slot)?.dim(1)?;
    Some(Taps { width, index: step.constant(slot)?, weight: step.constant(slot + 1)? })
}

/// That `outputs` are made of elements below `inputs` with weights in range.
fn check_taps(step: &StepView<'_>, slot: usize, inputs: usize, outputs: usize) -> Result<(), OpIssue> {
    let index = check::constant(step, slot, DataType::I16)?;
    let weight = check::constant(step, slot + 1, DataType::I32)?;
    let (Some(rows), Some(width), 2) = (index.dim(0), index.dim(1), index.shape.len()) else {
        return Err(OpIssue::Shape);
    };
    ensure(rows == outputs && width > 0 && weight.shape == index.shape, OpIssue::Shape)?;
    let taps = taps(step, slot).ok_or(OpIssue::Storage)?;
    for output in taps.outputs() {
        let mut sum = 0_u32;
        for (index, weight) in output {
            ensure(index < inputs, OpIssue::Params)?;
            sum = sum.saturating_add(weight.unsigned_abs());
        }
        ensure(sum <= MAX_WEIGHT_SUM, OpIssue::Params)?;
    }
    Ok(())
}

fn kernel<'m, E: Element>(step: &StepView<'m>, params: &Params) -> Option<Kernel<'m, E>> {
    let (x, y) = (step.input(0)?, step.output(0)?);
    let [batch, height, width, channels] = x.nhwc()?;
    Some(Kernel {
        batch,
        channels,
        input: [height, width],
        rows: taps(step, 1)?,
        columns: taps(step, 3)?,
        in_zero_point: x.zero_point,
        output: params.limits.output(&y),
    })
}

impl<E: Element> Operator for Resample2d<E> {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        let (x, y) = check::unary::<E>(step, 5)?;
        params.limits.check::<E>()?;
        let (x, y) = (x.nhwc().ok_or(OpIssue::Shape)?, y.nhwc().ok_or(OpIssue::Shape)?);
        let ([batch, height, width, channels], [out_batch, rows, columns, out_channels]) = (x, y);
        ensure(batch == out_batch && channels == out_channels, OpIssue::Shape)?;
        check_taps(step, 1, height, rows)?;
        check_taps(step, 3, width, columns)?;
        let p = kernel::<E>(step, params).ok_or(OpIssue::Shape)?;
        arch::resample::resample2d_scratch_len(&p).ok_or(OpIssue::Shape)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(kernel::<E>(frame.step(), params))?;
        let (x, y, scratch) = frame.unary_with_scratch(0)?;
        let sums = super::elements(scratch).ok_or(error)?;
        arch::resample::resample2d(&p, x, y, sums).ok_or(error)
    }
}
