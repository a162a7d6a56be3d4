//! Two-dimensional depthwise convolution: each output channel reads one input channel.
//!
//! Inputs: `x` (N, H, W, C) of elements E; `w` (KH, KW, C·M) i8 constant; `bias` (C·M) i32 constant, with the input's zero point
//! folded in; `mult` (C·M) i32 constant; `shift` (C·M) u8 constant. Output: (N, OH, OW, C·M) E, channel c·M + m of
//! which reads input channel c. Arithmetic: [`crate::kernels::conv::reference::depthwise_conv2d`].

use core::marker::PhantomData;

use super::check::{self, ensure};
pub use super::conv2d::Params;
use super::layer::Layer;
use super::{Operator, threads};
use crate::arch::Products;
use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};
use crate::kernels::{Element, Unary, conv};

/// The operator.
pub struct DepthwiseConv2d<E>(PhantomData<E>);

pub(super) fn kernel<'m, E: Element>(step: &StepView<'m>, params: &Params) -> Option<conv::DepthwiseConv2d<'m, E>> {
    Layer::of_step(step, params)?.depthwise_conv2d(step)
}

/// Whether the output takes the place of the input.
fn in_place(step: &StepView<'_>) -> Option<bool> {
    let (x, y) = (step.input(0)?, step.output(0)?);
    Some(x.storage == y.storage && x.offset == y.offset)
}

impl<E: Products> Operator for DepthwiseConv2d<E> {
    type Params = Params;

    const IN_PLACE: &'static [u8] = E::DEPTHWISE_IN_PLACE;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::operands(step, 5, 1)?;
        check::input(step, 0, E::DATA_TYPE)?;
        check::output(step, 0, E::DATA_TYPE)?;
        let p = Layer::of_step(step, params).ok_or(OpIssue::Shape)?.check_depthwise_conv2d::<E>(step)?;
        let in_place = in_place(step).ok_or(OpIssue::Operands)?;
        ensure(!in_place || E::depthwise_in_place(&p.window, p.multiplier), OpIssue::Shape)?;
        E::depthwise_scratch_len(&p, in_place).ok_or(OpIssue::Shape)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        run_with(frame, params, E::depthwise_conv2d)
    }
}

/// Runs the step with this kernel.
#[inline(always)]
pub(super) fn run_with<E: Products>(
    frame: &mut Frame<'_, '_>,
    params: &Params,
    kernel_of: impl Fn(&conv::DepthwiseConv2d<'_, E>, Unary<'_, E>, &[i8], &mut [u8]) -> Option<()> + Sync,
) -> Result<(), RunError> {
    let error = frame.inconsistent();
    let p = frame.expect(kernel(frame.step(), params))?;
    let w = frame.constant(1)?;
    let (operands, scratch) = frame.overlapping_with_scratch()?;
    threads::run(&p, operands, w, scratch, kernel_of).ok_or(error)
}
