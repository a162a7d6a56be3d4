//! A convolution within a step: what [`super::conv2d`], [`super::depthwise_conv2d`] and [`super::conv_chain`] share.

use super::check::{self, Sliding, ensure};
use super::conv2d::Params;
use crate::format::{DataType, OpIssue, StepView};
use crate::kernels::conv::{Conv2d, DepthwiseConv2d, Window};
use crate::kernels::{Element, PerChannel};

/// A convolution, its images and where its constants stand.
pub(super) struct Layer<'p> {
    pub(super) params: &'p Params,
    /// Shape of what it reads: (N, H, W, C).
    pub(super) input: [usize; 4],
    /// Shape of what it writes.
    pub(super) output: [usize; 4],
    /// Zero points of what it reads and writes.
    pub(super) zero_points: [i32; 2],
    /// The slot of its weights, before those of bias, multipliers and shifts.
    pub(super) weights: usize,
}

impl<'p> Layer<'p> {
    /// The one layer of a step: input 0 gives output 0.
    #[inline(always)]
    pub(super) fn of_step(step: &StepView<'_>, params: &'p Params) -> Option<Self> {
        let (x, y) = (step.input(0)?, step.output(0)?);
        let zero_points = [x.zero_point, y.zero_point];
        Some(Self { params, input: x.nhwc()?, output: y.nhwc()?, zero_points, weights: 1 })
    }

    /// Whether each output channel reads one input channel.
    pub(super) fn is_depthwise(&self) -> bool {
        self.params.groups == 0
    }

    /// Height and width of the kernel of a convolution that is not depthwise: weights are (O, KH, KW, I).
    #[inline(always)]
    fn kernel(&self, step: &StepView<'_>) -> Option<[usize; 2]> {
        let [_, height, width, _] = step.input(self.weights)?.nhwc()?;
        Some([height, width])
    }

    /// Of a depthwise one: weights are (KH, KW, O).
    #[inline(always)]
    fn depthwise_kernel(&self, step: &StepView<'_>) -> Option<[usize; 2]> {
        let w = step.input(self.weights)?;
        Some([w.dim(0)?, w.dim(1)?])
    }

    /// The window.
    pub(super) fn window(&self, step: &StepView<'_>) -> Option<Window> {
        Some(self.window_of(if self.is_depthwise() { self.depthwise_kernel(step)? } else { self.kernel(step)? }))
    }

    #[inline(always)]
    fn window_of(&self, kernel: [usize; 2]) -> Window {
        let ([_, in_h, in_w, _], [_, out_h, out_w, _]) = (self.input, self.output);
        self.params.window([in_h, in_w], [out_h, out_w], kernel)
    }

    /// The kernel's parameters of a convolution that is not depthwise.
    #[inline(always)]
    pub(super) fn conv2d<'m, E: Element>(&self, step: &StepView<'m>) -> Option<Conv2d<'m, E>> {
        let ([batch, _, _, in_channels], [_, _, _, out_channels]) = (self.input, self.output);
        Some(Conv2d {
            batch,
            in_channels,
            out_channels,
            groups: self.params.groups.into(),
            window: self.window_of(self.kernel(step)?),
            pad_value: E::saturate(self.zero_points[0]),
            requant: self.requant(step)?,
        })
    }

    /// The kernel's parameters of a depthwise convolution.
    #[inline(always)]
    pub(super) fn depthwise_conv2d<'m, E: Element>(&self, step: &StepView<'m>) -> Option<DepthwiseConv2d<'m, E>> {
        let ([batch, _, _, in_channels], [_, _, _, out_channels]) = (self.input, self.output);
        Some(DepthwiseConv2d {
            batch,
            in_channels,
            multiplier: out_channels.checked_div(in_channels)?,
            window: self.window_of(self.depthwise_kernel(step)?),
            pad_value: E::saturate(self.zero_points[0]),
            requant: self.requant(step)?,
        })
    }

    #[inline(always)]
    fn requant<'m, E: Element>(&self, step: &StepView<'m>) -> Option<PerChannel<'m, E>> {
        Some(PerChannel {
            bias: step.constant(self.weights + 1)?,
            mult: step.constant(self.weights + 2)?,
            shift: step.constant(self.weights + 3)?,
            output: self.params.limits.around(self.zero_points[1]),
        })
    }

    /// Proves that [`Layer::conv2d`] can run on images of elements `E`.
    pub(super) fn check_conv2d<'m, E: Element>(&self, step: &StepView<'m>) -> Result<Conv2d<'m, E>, OpIssue> {
        let w = check::constant(step, self.weights, DataType::I8)?.nhwc().ok_or(OpIssue::Shape)?;
        let ([_, _, _, in_channels], [_, _, _, out_channels]) = (self.input, self.output);
        let [filters, kernel_h, kernel_w, depth] = w;
        let groups = usize::from(self.params.groups);
        ensure(groups > 0, OpIssue::Params)?;
        ensure(filters == out_channels && out_channels.is_multiple_of(groups), OpIssue::Shape)?;
        ensure(depth.checked_mul(groups) == Some(in_channels), OpIssue::Shape)?;
        self.check::<E>(step, [kernel_h, kernel_w], kernel_h.saturating_mul(kernel_w).saturating_mul(depth))?;
        self.conv2d(step).ok_or(OpIssue::Shape)
    }

    /// Proves that [`Layer::depthwise_conv2d`] can run on images of elements `E`.
    pub(super) fn check_depthwise_conv2d<'m, E: Element>(
        &self,
        step: &StepView<'m>,
    ) -> Result<DepthwiseConv2d<'m, E>, OpIssue> {
        let w = check::constant(step, self.weights, DataType::I8)?;
        let ([_, _, _, in_channels], [_, _, _, out_channels]) = (self.input, self.output);
        let (Some(kernel_h), Some(kernel_w), 3) = (w.dim(0), w.dim(1), w.shape.len()) else {
            return Err(OpIssue::Shape);
        };
        ensure(self.is_depthwise(), OpIssue::Params)?;
        ensure(w.dim(2) == Some(out_channels) && out_channels.is_multiple_of(in_channels), OpIssue::Shape)?;
        self.check::<E>(step, [kernel_h, kernel_w], kernel_h.saturating_mul(kernel_w))?;
        self.depthwise_conv2d(step).ok_or(OpIssue::Shape)
    }

    /// That the window gives an output of this size, that the limits are a range of `E`, and that the sums of so many products and
    /// what follows them are as kernels take them.
    fn check<E: Element>(&self, step: &StepView<'_>, kernel: [usize; 2], products: usize) -> Result<(), OpIssue> {
        let Params { stride, dilation, pad, limits, reserved, .. } = *self.params;
        limits.check::<E>()?;
        ensure(reserved == 0, OpIssue::Params)?;
        check::window(self.input, self.output, &Sliding { kernel, stride, dilation, pad })?;
        check::per_channel::<E>(step, self.weights + 1, self.output[3], products)
    }
}
