//! Elementwise sum.
//!
//! Inputs: `a`, `b` of elements E, either of them constant or not, each broadcast to the output's shape by the rule of numpy.
//! Output: E. May take the place of an input that has as many elements.
//! Arithmetic: [`crate::kernels::elementwise::reference::add`].

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Limits, Operator};
use super::check::{self, ensure};
use crate::arch::Products;
use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};
use crate::kernels::Element;
use crate::kernels::elementwise::{self, Broadcast, Term};

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// Factor of the first operand, at most [`Element::MAX_FACTOR`] in absolute value.
    pub mult_a: i32,
    /// Factor of the second operand, likewise.
    pub mult_b: i32,
    /// Ends of the output: those of the fused activation.
    pub limits: Limits,
    /// Binary exponent by which the sum is divided, at most [`Element::MAX_SUM_SHIFT`].
    pub shift: u8,
    /// 0.
    pub reserved: [u8; 3],
}

/// The operator.
pub struct Add<E>(PhantomData<E>);

fn kernel<'m, E: Element>(step: &StepView<'m>, params: &Params) -> Option<elementwise::Add<'m, E>> {
    let (a, b, y) = (step.input(0)?, step.input(1)?, step.output(0)?);
    Some(elementwise::Add {
        shape: Broadcast { a: a.shape, b: b.shape, out: y.shape },
        a: Term { zero_point: a.zero_point, mult: params.mult_a },
        b: Term { zero_point: b.zero_point, mult: params.mult_b },
        shift: params.shift,
        output: params.limits.output(&y),
    })
}

impl<E: Products> Operator for Add<E> {
    type Params = Params;
    const IN_PLACE: &'static [u8] = &[0, 1];

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::binary::<E>(step)?;
        let in_range = |mult: i32| mult.unsigned_abs() <= E::MAX_FACTOR;
        ensure(in_range(params.mult_a) && in_range(params.mult_b), OpIssue::Multiplier)?;
        ensure(params.shift <= E::MAX_SUM_SHIFT, OpIssue::Shift)?;
        params.limits.check::<E>()?;
        ensure(params.reserved == [0; 3], OpIssue::Params)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(kernel::<E>(frame.step(), params))?;
        E::add(&p, frame.binary()?).ok_or(error)
    }
}
