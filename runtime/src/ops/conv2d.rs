//! Two-dimensional convolution.
//!
//! Inputs: `x` (N, H, W, C) of elements E; `w` (O, KH, KW, C / groups) i8 constant; `bias` (O) i32 constant, with the input's
//! zero point folded in; `mult` (O) i32 constant; `shift` (O) u8 constant. Output: (N, OH, OW, O) E.
//! Arithmetic: [`crate::kernels::conv::reference::conv2d`].

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::check::{self, Sliding, ensure};
use super::{Limits, Operator, threads};
use crate::arch::Products;
use crate::exec::{Frame, RunError};
use crate::format::{DataType, OpIssue, StepView};
use crate::kernels::conv::Window;
use crate::kernels::{Element, PerChannel, Unary, conv};

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// Vertical and horizontal stride.
    pub stride: [u16; 2],
    /// Vertical and horizontal dilation.
    pub dilation: [u16; 2],
    /// Padding: top, left, bottom, right.
    pub pad: [u16; 4],
    /// Number of groups; in a depthwise convolution 0.
    pub groups: u16,
    /// Ends of the output: those of the fused activation.
    pub limits: Limits,
    /// 0.
    pub reserved: u16,
}

/// The operator.
pub struct Conv2d<E>(PhantomData<E>);

impl Params {
    /// The window over an input of this size, for a kernel of this size.
    pub(super) fn window(&self, input: [usize; 4], output: [usize; 4], kernel: [usize; 2]) -> Window {
        let [_, in_h, in_w, _] = input;
        let [_, out_h, out_w, _] = output;
        let [top, left, _, _] = self.pad;
        Window {
            input: [in_h, in_w],
            output: [out_h, out_w],
            kernel,
            stride: self.stride.map(usize::from),
            dilation: self.dilation.map(usize::from),
            pad: [top.into(), left.into()],
        }
    }

    /// That the window gives an output of this size, and that the limits are a range of `E`.
    pub(super) fn check<E: Element>(&self, input: [usize; 4], output: [usize; 4], kernel: [usize; 2]) -> Result<(), OpIssue> {
        self.limits.check::<E>()?;
        ensure(self.reserved == 0, OpIssue::Params)?;
        let Self { stride, dilation, pad, .. } = *self;
        check::window(input, output, &Sliding { kernel, stride, dilation, pad })
    }
}

/// The kernel's parameters, all but the requantization taken from shapes.
fn kernel<'m, E: Element>(step: &StepView<'m>, params: &Params) -> Option<conv::Conv2d<'m, E>> {
    let (x, w, y) = (step.input(0)?, step.input(1)?, step.output(0)?);
    let (input, output) = (x.nhwc()?, y.nhwc()?);
    let [batch, _, _, in_channels] = input;
    let [_, _, _, out_channels] = output;
    let [_, kernel_h, kernel_w, _] = w.nhwc()?;
    Some(conv::Conv2d {
        batch,
        in_channels,
        out_channels,
        groups: params.groups.into(),
        window: params.window(input, output, [kernel_h, kernel_w]),
        pad_value: E::saturate(x.zero_point),
        requant: PerChannel {
            bias: step.constant(2)?,
            mult: step.constant(3)?,
            shift: step.constant(4)?,
            output: params.limits.output(&y),
        },
    })
}

impl<E: Products> Operator for Conv2d<E> {
    type Params = Params;

    fn overlap(step: &StepView<'_>, params: &Params) -> Option<usize> {
        let p = kernel::<E>(step, params)?;
        conv::overlap(p.batch, &p.window, p.in_channels, p.out_channels)?.checked_mul(size_of::<E>())
    }

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::operands(step, 5, 1)?;
        let x = check::input(step, 0, E::DATA_TYPE)?.nhwc().ok_or(OpIssue::Shape)?;
        let w = check::constant(step, 1, DataType::I8)?.nhwc().ok_or(OpIssue::Shape)?;
        let y = check::output(step, 0, E::DATA_TYPE)?.nhwc().ok_or(OpIssue::Shape)?;
        let ([_, _, _, in_channels], [_, _, _, out_channels]) = (x, y);
        let [filters, kernel_h, kernel_w, depth] = w;
        let groups = usize::from(params.groups);
        ensure(groups > 0, OpIssue::Params)?;
        ensure(filters == out_channels && out_channels.is_multiple_of(groups), OpIssue::Shape)?;
        ensure(depth.checked_mul(groups) == Some(in_channels), OpIssue::Shape)?;
        params.check::<E>(x, y, [kernel_h, kernel_w])?;
        let products = kernel_h.saturating_mul(kernel_w).saturating_mul(depth);
        check::per_channel::<E>(step, 2, out_channels, products)?;
        kernel::<E>(step, params).and_then(|p| conv::portable::conv2d_scratch_len(&p)).ok_or(OpIssue::Shape)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        run_with(frame, params, E::conv2d)
    }
}

/// Runs the step with this kernel.
#[inline(always)]
pub(super) fn run_with<E: Products>(
    frame: &mut Frame<'_, '_>,
    params: &Params,
    kernel_of: impl Fn(&conv::Conv2d<'_, E>, Unary<'_, E>, &[i8], &mut [u8]) -> Option<()> + Sync,
) -> Result<(), RunError> {
    let error = frame.inconsistent();
    let p = frame.expect(kernel::<E>(frame.step(), params))?;
    let w = frame.constant(1)?;
    let (operands, scratch) = frame.overlapping_with_scratch()?;
    threads::run(&p, operands, w, scratch, kernel_of).ok_or(error)
}
