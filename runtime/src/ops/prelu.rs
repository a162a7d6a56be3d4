//! Parametric relu.
//!
//! Inputs: `x` of elements E; `mult` (K) i32 and `shift` (K) u8 constants, K a divisor of the number of elements.
//! Output: as `x`. Arithmetic: [`crate::kernels::rectifier::reference::prelu`].

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::check::{self, ensure};
use super::{Limits, Operator};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::fixed::Multiplier;
use crate::format::{DataType, OpIssue, StepView};
use crate::kernels::Element;
use crate::kernels::rectifier::PRelu as Kernel;

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// Of the factor of positive values, see [`Multiplier::mult`].
    pub mult: i32,
    /// Ends of the output.
    pub limits: Limits,
    /// See [`Multiplier::shift`].
    pub shift: u8,
    /// 0.
    pub reserved: [u8; 3],
}

/// The operator.
pub struct PRelu<E>(PhantomData<E>);

fn kernel<'m, E: Element>(step: &StepView<'m>, params: &Params) -> Option<Kernel<'m, E>> {
    let (x, y) = (step.input(0)?, step.output(0)?);
    Some(Kernel {
        in_zero_point: x.zero_point,
        above: Multiplier { mult: params.mult, shift: params.shift },
        mult: step.constant(1)?,
        shift: step.constant(2)?,
        output: params.limits.output(&y),
    })
}

impl<E: Element> Operator for PRelu<E> {
    type Params = Params;

    const IN_PLACE: &'static [u8] = &[0];

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        let (x, y) = check::unary::<E>(step, 3)?;
        params.limits.check::<E>()?;
        ensure(params.reserved == [0; 3], OpIssue::Params)?;
        ensure(x.shape == y.shape, OpIssue::Shape)?;
        check::multiplier::<E>(Multiplier { mult: params.mult, shift: params.shift })?;
        let (mult, shift) = (check::constant(step, 1, DataType::I32)?, check::constant(step, 2, DataType::U8)?);
        ensure(mult.len == shift.len && x.len.is_multiple_of(mult.len.max(1)), OpIssue::Shape)?;
        let p = kernel::<E>(step, params).ok_or(OpIssue::Storage)?;
        for (&mult, &shift) in p.mult.iter().zip(p.shift) {
            check::multiplier::<E>(Multiplier { mult, shift })?;
        }
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(kernel::<E>(frame.step(), params))?;
        arch::rectifier::prelu(&p, frame.elementwise()?).ok_or(error)
    }
}
