//! Two-dimensional depthwise convolution: each output channel reads one input channel.
//!
//! Inputs: `x` (N, H, W, C) of elements E; `w` (KH, KW, C·M) i8 constant; `bias` (C·M) i32 constant, with the input's zero point
//! folded in; `mult` (C·M) i32 constant; `shift` (C·M) u8 constant. Output: (N, OH, OW, C·M) E, channel c·M + m of
//! which reads input channel c. Arithmetic: [`crate::kernels::conv::reference::depthwise_conv2d`].

use core::marker::PhantomData;

use super::{Operator, threads};
use super::check::{self, ensure};
pub use super::conv2d::Params;
use crate::arch::Products;
use crate::exec::{Frame, RunError};
use crate::format::{DataType, OpIssue, StepView};
use crate::kernels::{Element, PerChannel, Unary, conv};

/// The operator.
pub struct DepthwiseConv2d<E>(PhantomData<E>);

pub(super) fn kernel<'m, E: Element>(step: &StepView<'m>, params: &Params) -> Option<conv::DepthwiseConv2d<'m, E>> {
    let (x, w, y) = (step.input(0)?, step.input(1)?, step.output(0)?);
    let (input, output) = (x.nhwc()?, y.nhwc()?);
    let [batch, _, _, in_channels] = input;
    let [_, _, _, out_channels] = output;
    Some(conv::DepthwiseConv2d {
        batch,
        in_channels,
        multiplier: out_channels.checked_div(in_channels)?,
        window: params.window(input, output, [w.dim(0)?, w.dim(1)?]),
        pad_value: E::saturate(x.zero_point),
        requant: PerChannel {
            bias: step.constant(2)?,
            mult: step.constant(3)?,
            shift: step.constant(4)?,
            output: params.limits.output(&y),
        },
    })
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
        let x = check::input(step, 0, E::DATA_TYPE)?.nhwc().ok_or(OpIssue::Shape)?;
        let w = check::constant(step, 1, DataType::I8)?;
        let y = check::output(step, 0, E::DATA_TYPE)?.nhwc().ok_or(OpIssue::Shape)?;
        let ([_, _, _, in_channels], [_, _, _, out_channels]) = (x, y);
        let (Some(kernel_h), Some(kernel_w), 3) = (w.dim(0), w.dim(1), w.shape.len()) else {
            return Err(OpIssue::Shape);
        };
        ensure(params.groups == 0, OpIssue::Params)?;
        ensure(w.dim(2) == Some(out_channels) && out_channels.is_multiple_of(in_channels), OpIssue::Shape)?;
        params.check::<E>(x, y, [kernel_h, kernel_w])?;
        check::per_channel::<E>(step, 2, out_channels, kernel_h.saturating_mul(kernel_w))?;
        let in_place = in_place(step).ok_or(OpIssue::Operands)?;
        let p = kernel::<E>(step, params).ok_or(OpIssue::Shape)?;
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
    let p = frame.expect(kernel::<E>(frame.step(), params))?;
    let w = frame.constant(1)?;
    let (operands, scratch) = frame.overlapping_with_scratch()?;
    threads::run(&p, operands, w, scratch, kernel_of).ok_or(error)
}
