//! Two-dimensional maximum pooling.
//!
//! Input: `x` (N, H, W, C) i8. Output: (N, OH, OW, C) i8 of the same scale and zero point.
//! Arithmetic: [`crate::kernels::pool::reference::max_pool2d_s8`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, Sliding, ensure};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{DataType, OpIssue, StepView, Tensor};
use crate::kernels::Output;
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
    /// Smallest output value.
    pub min: i8,
    /// Largest output value.
    pub max: i8,
    /// 0.
    pub reserved: [u8; 2],
}

/// The operator.
pub struct MaxPool2d;

impl Params {
    /// The kernel's parameters.
    pub(super) fn pool(&self, step: &StepView<'_>) -> Option<Pool2d> {
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
            output: Output { zero_point: y.zero_point, min: self.min, max: self.max },
        })
    }

    /// That input and output are images of the sizes that the window gives, and that no window is all padding.
    pub(super) fn check<'m>(&self, step: &StepView<'m>) -> Result<(Tensor<'m>, Tensor<'m>), OpIssue> {
        let (x, y) = (check::input(step, 0, DataType::I8)?, check::output(step, 0, DataType::I8)?);
        let (input, output) = (x.nhwc().ok_or(OpIssue::Shape)?, y.nhwc().ok_or(OpIssue::Shape)?);
        let ([_, _, _, in_channels], [_, _, _, out_channels]) = (input, output);
        ensure(self.min <= self.max && self.reserved == [0; 2], OpIssue::Params)?;
        ensure(in_channels == out_channels, OpIssue::Shape)?;
        let kernel = self.kernel.map(usize::from);
        check::window(input, output, &Sliding { kernel, stride: self.stride, dilation: [1; 2], pad: self.pad })?;
        // The first window reaches past the padding before, the last does not begin in the padding after.
        let ([kernel_h, kernel_w], [top, left, bottom, right]) = (self.kernel, self.pad);
        ensure(top < kernel_h && left < kernel_w && bottom < kernel_h && right < kernel_w, OpIssue::Params)?;
        Ok((x, y))
    }
}

impl Operator for MaxPool2d {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::operands(step, 1, 1)?;
        let (x, y) = params.check(step)?;
        ensure(x.same_quantization(&y), OpIssue::Quantization)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(params.pool(&frame.step()))?;
        let (x, y) = frame.unary(0)?;
        arch::pool::max_pool2d_s8(&p, x, y).ok_or(error)
    }
}
