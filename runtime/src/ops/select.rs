//! Choice between two tensors, element by element.
//!
//! Inputs: `condition` i8 truth values, `a` and `b` of any one type and quantization, each of them constant or not, each
//! broadcast to the output's shape by the rule of numpy. Output: the type and quantization of `a` and `b`; `a` where the
//! condition is true, `b` elsewhere.
//! Arithmetic: [`crate::kernels::choice::reference::select`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};
use crate::kernels::choice::Select as Kernel;

/// There are no parameters.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params;

/// The operator.
pub struct Select;

fn run<T>(frame: &mut Frame<'_, '_>) -> Result<(), RunError>
where
    T: Copy + FromBytes + IntoBytes + Immutable + KnownLayout,
{
    let error = frame.inconsistent();
    let shapes = [frame.input(0)?.shape, frame.input(1)?.shape, frame.input(2)?.shape];
    let p = Kernel { shapes, out: frame.output(0)?.shape };
    let (inputs, y, _) = frame.apart::<T>()?;
    let condition = inputs.get(0).ok_or(error)?;
    let (a, b) = inputs.get(1).zip(inputs.get(2)).ok_or(error)?;
    arch::choice::select(&p, condition, a, b, y).ok_or(error)
}

impl Operator for Select {
    type Params = Params;

    fn check(step: &StepView<'_>, _: &Params) -> Result<usize, OpIssue> {
        check::operands(step, 3, 1)?;
        let y = step.output(0).ok_or(OpIssue::Operands)?;
        check::broadcasts(&check::truth(step.input(0))?, &y)?;
        for slot in [1, 2] {
            let x = check::input(step, slot, y.data_type)?;
            ensure(x.same_quantization(&y), OpIssue::Quantization)?;
            check::broadcasts(&x, &y)?;
        }
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, _: &Params) -> Result<(), RunError> {
        match frame.output(0)?.data_type.size() {
            1 => run::<u8>(frame),
            2 => run::<u16>(frame),
            _ => run::<u32>(frame),
        }
    }
}
