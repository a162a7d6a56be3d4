//! Elementwise sum or difference of int8, with the roundings of TensorFlow Lite.
//!
//! Inputs: `a`, `b` i8, either of them constant or not, each broadcast to the output's shape by the rule of numpy. Output: i8.
//! May take the place of an input that has as many elements.
//! Arithmetic: [`crate::kernels::elementwise::reference::add_tflite`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::check::{self, ensure};
use super::{Limits, Operator};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::fixed::{MIN_TFLITE_SHIFT, Multiplier, Rounding, TFLITE_FLAG};
use crate::format::{OpIssue, StepView};
use crate::kernels::elementwise::{self, Broadcast};

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// Factor of the operand with the smaller scale, shifted left by 20: half of its part of the larger scale.
    pub fine_mult: i32,
    /// See [`elementwise::AddTfLite::sum`].
    pub sum_mult: i32,
    /// Ends of the output: those of the fused activation.
    pub limits: Limits,
    /// The shift that belongs to `fine_mult`.
    pub fine_shift: u8,
    /// The shift that belongs to `sum_mult`.
    pub sum_shift: u8,
    /// 1 if the operand with the smaller scale is the first, else 0.
    pub fine_first: u8,
    /// 1 if the second operand is taken off the first, else 0.
    pub difference: u8,
}

/// ½: exact, however it is rounded.
const HALF: Multiplier = Multiplier { mult: 1 << 30, shift: 31 };

/// The operator.
pub struct AddTfLite;

impl Params {
    fn fine(&self) -> Multiplier {
        Multiplier { mult: self.fine_mult, shift: self.fine_shift }
    }

    fn sum(&self) -> Multiplier {
        Multiplier { mult: self.sum_mult, shift: self.sum_shift }
    }
}

fn kernel<'m>(step: &StepView<'m>, params: &Params) -> Option<elementwise::AddTfLite<'m>> {
    let (a, b, y) = (step.input(0)?, step.input(1)?, step.output(0)?);
    Some(elementwise::AddTfLite {
        shape: Broadcast { a: a.shape, b: b.shape, out: y.shape },
        zero_points: [a.zero_point, b.zero_point],
        fine: match params.fine() {
            HALF => (Multiplier { shift: MIN_TFLITE_SHIFT | TFLITE_FLAG, ..HALF }, 21),
            fine => (fine, 20),
        },
        sum: params.sum(),
        fine_first: params.fine_first == 1,
        difference: params.difference == 1,
        output: params.limits.output(&y),
    })
}

impl Operator for AddTfLite {
    type Params = Params;
    const IN_PLACE: &'static [u8] = &[0, 1];

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::binary::<i8>(step)?;
        check::multiplier::<i8>(params.fine())?;
        check::multiplier::<i8>(params.sum())?;
        let tflite = |m: Multiplier| m.rounding() == Rounding::TfLite;
        ensure((tflite(params.fine()) || params.fine() == HALF) && tflite(params.sum()), OpIssue::Shift)?;
        params.limits.check::<i8>()?;
        ensure(params.fine_first <= 1 && params.difference <= 1, OpIssue::Params)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(kernel(frame.step(), params))?;
        arch::elementwise::add_tflite(&p, frame.binary()?).ok_or(error)
    }
}
