//! Change of scale and zero point.
//!
//! Input: `x` of elements E. Output: E of the same shape. May work in place. [`Convert`] changes the element type too.
//! Arithmetic: [`crate::kernels::elementwise::reference::requantize`].

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Limits, Operator};
use super::check::{self, ensure};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::fixed::Multiplier;
use crate::format::{OpIssue, StepView, Tensor};
use crate::kernels::{Element, elementwise};

/// Parameters in the file: also those of [`super::mul`].
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// See [`Multiplier::mult`].
    pub mult: i32,
    /// Ends of the output: those of the fused activation.
    pub limits: Limits,
    /// See [`Multiplier::shift`].
    pub shift: u8,
    /// 0.
    pub reserved: [u8; 3],
}

/// The operator.
pub struct Requantize<E>(PhantomData<E>);

impl Params {
    /// The parameters of this factor and these limits.
    pub fn new(factor: Multiplier, limits: Limits) -> Self {
        Self { mult: factor.mult, limits, shift: factor.shift, reserved: [0; 3] }
    }

    pub(super) fn multiplier(&self) -> Multiplier {
        Multiplier { mult: self.mult, shift: self.shift }
    }

    /// That they fit outputs of elements `E`.
    pub(super) fn check<E: Element>(&self) -> Result<(), OpIssue> {
        check::multiplier::<E>(self.multiplier())?;
        self.limits.check::<E>()?;
        ensure(self.reserved == [0; 3], OpIssue::Params)
    }

    fn kernel<E: Element>(&self, x: &Tensor<'_>, y: &Tensor<'_>) -> elementwise::Requantize<E> {
        elementwise::Requantize {
            zero_point: x.zero_point,
            multiplier: self.multiplier(),
            output: self.limits.output(y),
        }
    }
}

impl<E: Element> Operator for Requantize<E> {
    type Params = Params;
    const IN_PLACE: &'static [u8] = &[0];

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        let (x, y) = check::unary::<E>(step, 1)?;
        ensure(x.shape == y.shape, OpIssue::Shape)?;
        params.check::<E>()?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = params.kernel::<E>(&frame.input(0)?, &frame.output(0)?);
        arch::elementwise::requantize(&p, frame.elementwise()?).ok_or(error)
    }
}

/// The operator between different element types, which never works in place.
pub struct Convert<X, Y>(PhantomData<(X, Y)>);

impl<X: Element, Y: Element> Operator for Convert<X, Y> {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::operands(step, 1, 1)?;
        let (x, y) = (check::input(step, 0, X::DATA_TYPE)?, check::output(step, 0, Y::DATA_TYPE)?);
        ensure(x.shape == y.shape, OpIssue::Shape)?;
        params.check::<Y>()?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = params.kernel::<Y>(&frame.input(0)?, &frame.output(0)?);
        let (x, y) = frame.unary::<X, Y>(0)?;
        arch::elementwise::convert(&p, x, y).ok_or(error)
    }
}
