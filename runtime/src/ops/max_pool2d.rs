//! Two-dimensional maximum pooling.
//!
//! Input: `x` (N, H, W, C) of elements E. Output: (N, OH, OW, C) E of the same scale and zero point.
//! Arithmetic: [`crate::kernels::pool::reference::max_pool2d`].

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Limits, Operator};
use super::check::{self, Sliding, ensure};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView, Tensor};
use crate::kernels::Element;
use crate::kernels::pool::{Pool2d, Window};

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// Kernel height and width.
    pub kernel: [u16; 2],
    /// Vertical and horizontal stride.
    pub stride: [u16; 2],
    /// Padding: top, left, bottom, right.
    pub pad: [u16; 4],
    /// Ends of the output: those of the fused activation.
    pub limits: Limits,
}

/// The operator.
pub struct MaxPool2d<E>(PhantomData<E>);

impl Params {
    /// The kernel's parameters.
    pub(super) fn pool<E: Element>(&self, step: &StepView<'_>) -> Option<Pool2d<E>> {
        let (x, y) = (step.input(0)?, step.output(0)?);
        let [batch, in_h, in_w, channels] = x.nhwc()?;
        let [_, out_h, out_w, _] = y.nhwc()?;
        let [top, left, _, _] = self.pad.map(usize::from);
        Some(Pool2d {
            batch,
            channels,
            window: Window {
                input: [in_h, in_w],
                output: [out_h, out_w],
                kernel: self.kernel.map(usize::from),
                stride: self.stride.map(usize::from),
                dilation: [1, 1],
                pad: [top, left],
            },
            output: self.limits.output(&y),
        })
    }

    /// That input and output are images of the sizes that the window gives, and that no window is all padding.
    pub(super) fn check<'m, E: Element>(&self, step: &StepView<'m>) -> Result<(Tensor<'m>, Tensor<'m>), OpIssue> {
        let (x, y) = (check::input(step, 0, E::DATA_TYPE)?, check::output(step, 0, E::DATA_TYPE)?);
        let (input, output) = (x.nhwc().ok_or(OpIssue::Shape)?, y.nhwc().ok_or(OpIssue::Shape)?);
        let ([_, _, _, in_channels], [_, _, _, out_channels]) = (input, output);
        self.limits.check::<E>()?;
        ensure(in_channels == out_channels, OpIssue::Shape)?;
        let kernel = self.kernel.map(usize::from);
        check::window(input, output, &Sliding { kernel, stride: self.stride, dilation: [1; 2], pad: self.pad })?;
        // The first window reaches past the padding before, the last does not begin in the padding after.
        let ([kernel_h, kernel_w], [top, left, bottom, right]) = (self.kernel, self.pad);
        ensure(top < kernel_h && left < kernel_w && bottom < kernel_h && right < kernel_w, OpIssue::Params)?;
        Ok((x, y))
    }
}

impl<E: Element> Operator for MaxPool2d<E> {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::operands(step, 1, 1)?;
        let (x, y) = params.check::<E>(step)?;
        ensure(x.same_quantization(&y), OpIssue::Quantization)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(params.pool::<E>(frame.step()))?;
        let (x, y) = frame.unary(0)?;
        arch::pool::max_pool2d(&p, x, y).ok_or(error)
    }
}
