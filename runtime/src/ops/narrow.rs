//! Narrow forms of operators: what nearly all models want of them, with fewer kernels.
//!
//! A narrow form has the id, the parameters and the bits of its operator, and refuses the steps for which it links nothing.
//! `teff-build` takes the first of [`super::NARROW`] that accepts all steps of the model that a firmware embeds.

use super::check::ensure;
use super::conv2d::{self, Conv2d};
use super::depthwise_conv2d::{self, DepthwiseConv2d};
use super::fully_connected::{self, FullyConnected};
use super::{Operator, conv2d::Params};
use crate::arch::Products;
use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};
use crate::kernels::{conv, linear};

/// [`Conv2d`] of one group.
pub(super) struct DenseConv2d;

impl Operator for DenseConv2d {
    type Params = Params;

    fn overlap(step: &StepView<'_>, params: &Params) -> Option<usize> {
        Conv2d::<i8>::overlap(step, params)
    }

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        ensure(params.groups == 1, OpIssue::Narrow)?;
        Conv2d::<i8>::check(step, params)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        conv2d::run_with(frame, params, i8::dense_conv2d)
    }
}

/// [`DepthwiseConv2d`] of the windows of [`conv::planar`].
pub(super) struct PlanarDepthwiseConv2d;

impl Operator for PlanarDepthwiseConv2d {
    type Params = Params;

    const IN_PLACE: &'static [u8] = DepthwiseConv2d::<i8>::IN_PLACE;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        let p = depthwise_conv2d::kernel::<i8>(step, params).ok_or(OpIssue::Shape)?;
        ensure(conv::planar::applies(&p.window, p.multiplier), OpIssue::Narrow)?;
        DepthwiseConv2d::<i8>::check(step, params)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        depthwise_conv2d::run_with(frame, params, i8::planar_depthwise_conv2d)
    }
}

/// [`DepthwiseConv2d`] of all windows but those of [`conv::planar`], with one output channel for each input channel, and their
/// number a multiple of 4.
pub(super) struct QuadDepthwiseConv2d;

impl Operator for QuadDepthwiseConv2d {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        let p = depthwise_conv2d::kernel::<i8>(step, params).ok_or(OpIssue::Shape)?;
        let quads = p.multiplier == 1 && p.in_channels.is_multiple_of(4);
        ensure(quads && !conv::planar::applies(&p.window, p.multiplier), OpIssue::Narrow)?;
        DepthwiseConv2d::<i8>::check(step, params)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        depthwise_conv2d::run_with(frame, params, i8::quad_depthwise_conv2d)
    }
}

/// [`FullyConnected`] of one vector.
pub(super) struct VectorFullyConnected;

impl Operator for VectorFullyConnected {
    type Params = fully_connected::Params;

    fn overlap(step: &StepView<'_>, params: &Self::Params) -> Option<usize> {
        FullyConnected::<i8>::overlap(step, params)
    }

    fn check(step: &StepView<'_>, params: &Self::Params) -> Result<usize, OpIssue> {
        let p = fully_connected::kernel::<i8>(step, params).ok_or(OpIssue::Shape)?;
        ensure(p.rows == 1, OpIssue::Narrow)?;
        FullyConnected::<i8>::check(step, params)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Self::Params) -> Result<(), RunError> {
        fully_connected::run_with(frame, params, i8::vector_fully_connected)
    }
}

/// Most weights of a layer of [`SmallFullyConnected`], which takes several instructions for each.
const FEW_WEIGHTS: usize = 256;

/// [`FullyConnected`] of one vector and at most [`FEW_WEIGHTS`] weights: no loop over several rows is linked. Unless a whole model
/// has layers as small, the fast loops are there anyway.
pub(super) struct SmallFullyConnected;

impl Operator for SmallFullyConnected {
    type Params = fully_connected::Params;

    fn check(step: &StepView<'_>, params: &Self::Params) -> Result<usize, OpIssue> {
        let p = fully_connected::kernel::<i8>(step, params).ok_or(OpIssue::Shape)?;
        let few = p.inputs.checked_mul(p.outputs).is_some_and(|weights| weights <= FEW_WEIGHTS);
        ensure(p.rows == 1 && few, OpIssue::Narrow)?;
        match FullyConnected::<i8>::check(step, params)? {
            0 => Ok(0),
            // To copy an input that the output overlaps.
            _ => Err(OpIssue::Narrow),
        }
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Self::Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(fully_connected::kernel::<i8>(frame.step(), params))?;
        let w = frame.constant(1)?;
        let (x, out) = frame.unary(0)?;
        linear::small::fully_connected(&p, x, w, out).ok_or(error)
    }
}
