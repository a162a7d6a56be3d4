//! Two-dimensional convolution.
//!
//! Inputs: `x` (N, H, W, C) of elements E; `w` (O, KH, KW, C / groups) i8 constant; `bias` (O) i32 constant, with the input's
//! zero point folded in; `mult` (O) i32 constant; `shift` (O) u8 constant. Output: (N, OH, OW, O) E.
//! Arithmetic: [`crate::kernels::conv::reference::conv2d`].

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::check;
use super::layer::Layer;
use super::{Limits, Operator, threads};
use crate::arch::Products;
use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};
use crate::kernels::conv::Window;
use crate::kernels::{Unary, conv};

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
    /// The window over images of this height and width.
    #[inline(always)]
    pub fn window(&self, input: [usize; 2], output: [usize; 2], kernel: [usize; 2]) -> Window {
        let Self { stride, dilation, pad: [top, left, _, _], .. } = *self;
        let [stride, dilation] = [stride, dilation].map(|steps| steps.map(usize::from));
        Window { input, output, kernel, stride, dilation, pad: [top.into(), left.into()] }
    }
}

impl<E: Products> Operator for Conv2d<E> {
    type Params = Params;

    fn overlap(step: &StepView<'_>, params: &Params) -> Option<usize> {
        let p = Layer::of_step(step, params)?.conv2d::<E>(step)?;
        conv::overlap(p.batch, &p.window, p.in_channels, p.out_channels)?.checked_mul(size_of::<E>())
    }

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::operands(step, 5, 1)?;
        check::input(step, 0, E::DATA_TYPE)?;
        check::output(step, 0, E::DATA_TYPE)?;
        let p = Layer::of_step(step, params).ok_or(OpIssue::Shape)?.check_conv2d::<E>(step)?;
        conv::portable::conv2d_scratch_len(&p).ok_or(OpIssue::Shape)
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
    let p = frame.expect(Layer::of_step(frame.step(), params).and_then(|layer| layer.conv2d::<E>(frame.step())))?;
    let w = frame.constant(1)?;
    let (operands, scratch) = frame.overlapping_with_scratch()?;
    threads::run(&p, operands, w, scratch, kernel_of).ok_or(error)
}
