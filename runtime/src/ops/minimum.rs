//! The smaller of two operands, element by element.
//!
//! Inputs: `a`, `b` of elements E, either of them constant or not, each broadcast to the output's shape by the rule of numpy,
//! both of the output's scale and zero point. Output: E. May take the place of an input that has as many elements.
//! Arithmetic: [`crate::kernels::elementwise::reference::minimum`].

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};
use crate::kernels::Element;
use crate::kernels::elementwise::Broadcast;

/// There are no parameters.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params;

/// The operator.
pub struct Minimum<E>(PhantomData<E>);

impl<E: Element> Operator for Minimum<E> {
    type Params = Params;
    const IN_PLACE: &'static [u8] = &[0, 1];

    fn check(step: &StepView<'_>, _: &Params) -> Result<usize, OpIssue> {
        check::binary::<E>(step)?;
        let y = check::output(step, 0, E::DATA_TYPE)?;
        for slot in [0, 1] {
            let x = check::input(step, slot, E::DATA_TYPE)?;
            ensure(x.same_quantization(&y), OpIssue::Quantization)?;
        }
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, _: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let shape = Broadcast { a: frame.input(0)?.shape, b: frame.input(1)?.shape, out: frame.output(0)?.shape };
        arch::elementwise::minimum::<E>(&shape, frame.binary()?).ok_or(error)
    }
}
