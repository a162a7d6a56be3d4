//! Softmax over the last axis.
//!
//! Input: `x` of elements E, of any shape. Output: the same shape; in int8 scale 1/256 and zero point −128, in int16
//! scale 1/32768 and zero point 0.
//! Arithmetic: [`crate::kernels::softmax::reference::softmax`].

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};
use crate::kernels::{Element, softmax};

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// `round(scale · 2^(26 + shift))`, at least 1.
    pub multiplier: u32,
    /// At most 31.
    pub shift: u8,
    /// 0.
    pub reserved: [u8; 3],
}

/// The operator.
pub struct Softmax<E>(PhantomData<E>);

fn kernel(step: &StepView<'_>, params: &Params) -> Option<softmax::Softmax> {
    let row_len = usize::try_from(*step.input(0)?.shape.last()?).ok()?;
    Some(softmax::Softmax { row_len, multiplier: params.multiplier, shift: params.shift })
}

impl<E: Element> Operator for Softmax<E> {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::operands(step, 1, 1)?;
        let (x, y) = (check::input(step, 0, E::DATA_TYPE)?, check::output(step, 0, E::DATA_TYPE)?);
        ensure(x.shape == y.shape, OpIssue::Shape)?;
        let unit = y.zero_point == E::UNIT_ZERO && y.scale * (1_u32 << E::UNIT_BITS) as f32 == 1.0;
        ensure(unit, OpIssue::Quantization)?;
        ensure(params.multiplier > 0 && params.shift <= 31 && params.reserved == [0; 3], OpIssue::Params)?;
        let p = kernel(step, params).ok_or(OpIssue::Shape)?;
        ensure(p.row_len <= check::MAX_DEPTH, OpIssue::Depth)?;
        arch::softmax::softmax_scratch_len(&p).ok_or(OpIssue::Shape)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(kernel(frame.step(), params))?;
        let (x, y, scratch) = frame.unary_with_scratch(0)?;
        let exponentials = super::elements(scratch).ok_or(error)?;
        arch::softmax::softmax::<E>(&p, x, y, exponentials).ok_or(error)
    }
}
