//! Fully connected layer.
//!
//! Inputs: `x` of elements E, read as rows of I elements whatever its shape; `w` (O, I) i8 constant; `bias` (O) i32 constant,
//! with the input's zero point folded in; `mult` (O) i32 constant; `shift` (O) u8 constant. Output: a row of O elements
//! for each row of the input. Arithmetic: [`crate::kernels::linear::reference::fully_connected`].

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Limits, Operator, threads};
use super::check::{self, ensure};
use crate::arch::Products;
use crate::exec::{Frame, RunError};
use crate::format::{DataType, OpIssue, StepView, Storage};
use crate::kernels::{Element, PerChannel, Unary, linear};

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// Ends of the output: those of the fused activation.
    pub limits: Limits,
}

/// The operator.
pub struct FullyConnected<E>(PhantomData<E>);

pub(super) fn kernel<'m, E: Element>(step: &StepView<'m>, params: &Params) -> Option<linear::FullyConnected<'m, E>> {
    let (x, w, y) = (step.input(0)?, step.input(1)?, step.output(0)?);
    let (outputs, inputs) = (w.dim(0)?, w.dim(1)?);
    Some(linear::FullyConnected {
        rows: x.len.checked_div(inputs)?,
        inputs,
        outputs,
        requant: PerChannel {
            bias: step.constant(2)?,
            mult: step.constant(3)?,
            shift: step.constant(4)?,
            output: params.limits.output(&y),
        },
    })
}

impl<E: Products> Operator for FullyConnected<E> {
    type Params = Params;

    fn overlap(step: &StepView<'_>, params: &Params) -> Option<usize> {
        let p = kernel::<E>(step, params)?;
        linear::overlap(p.rows, p.inputs, p.outputs)?.checked_mul(size_of::<E>())
    }

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::operands(step, 5, 1)?;
        let x = check::input(step, 0, E::DATA_TYPE)?;
        let w = check::constant(step, 1, DataType::I8)?;
        let y = check::output(step, 0, E::DATA_TYPE)?;
        let (Some(outputs), Some(inputs), 2) = (w.dim(0), w.dim(1), w.shape.len()) else {
            return Err(OpIssue::Shape);
        };
        let rows = x.len.checked_div(inputs).ok_or(OpIssue::Shape)?;
        ensure(rows.checked_mul(inputs) == Some(x.len) && rows.checked_mul(outputs) == Some(y.len), OpIssue::Shape)?;
        params.limits.check::<E>()?;
        check::per_channel::<E>(step, 2, outputs, inputs)?;
        check::weights::<E>(step.constant(1).ok_or(OpIssue::Storage)?, inputs)?;
        // A vector of an input that the output overlaps is copied before its results are written.
        let (x, y) = (step.input(0).ok_or(OpIssue::Operands)?, step.output(0).ok_or(OpIssue::Operands)?);
        let apart = x.storage == Storage::Constant || !x.shares_memory(&y);
        if apart { Ok(0) } else { inputs.checked_mul(size_of::<E>()).ok_or(OpIssue::Shape) }
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        run_with(frame, params, E::fully_connected)
    }
}

/// Runs the step with this kernel.
#[inline(always)]
pub(super) fn run_with<E: Products>(
    frame: &mut Frame<'_, '_>,
    params: &Params,
    kernel_of: impl Fn(&linear::FullyConnected<'_, E>, Unary<'_, E>, &[i8], &mut [u8]) -> Option<()> + Sync,
) -> Result<(), RunError> {
    let error = frame.inconsistent();
    let p = frame.expect(kernel::<E>(frame.step(), params))?;
    let w = frame.constant(1)?;
    let (operands, scratch) = frame.overlapping_with_scratch()?;
    threads::run(&p, operands, w, scratch, kernel_of).ok_or(error)
}
