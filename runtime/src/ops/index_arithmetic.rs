//! Arithmetic on integers, element by element.
//!
//! Inputs: `a`, `b` i32 of scale 1 and zero point 0, either of them constant or not, each broadcast to the output's shape by
//! the rule of numpy. Output: i32. A result that does not fit, and a division by 0, is [`RunError::IndexOutOfRange`].
//! Arithmetic: [`crate::kernels::index::reference::arithmetic`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{DataType, OpIssue, StepView};
use crate::kernels::elementwise::Broadcast;
use crate::kernels::index::Arithmetic;

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// 0: sum, 1: difference, 2: product, 3: quotient towards 0, 4: smaller, 5: larger, 6: remainder with the sign of the
    /// divisor, 7: remainder with the sign of the dividend.
    pub operation: u32,
}

/// The operator.
pub struct IndexArithmetic;

impl Operator for IndexArithmetic {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::operands(step, 2, 1)?;
        let y = check::output(step, 0, DataType::I32)?;
        for slot in [0, 1] {
            let x = check::input(step, slot, DataType::I32)?;
            ensure(x.same_quantization(&y), OpIssue::Quantization)?;
            check::broadcasts(&x, &y)?;
        }
        ensure(y.zero_point == 0 && y.scale == 1.0, OpIssue::Quantization)?;
        Arithmetic::from_code(params.operation).map(|_| 0).ok_or(OpIssue::Params)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let operation = Arithmetic::from_code(params.operation).ok_or(error)?;
        let shape = Broadcast { a: frame.input(0)?.shape, b: frame.input(1)?.shape, out: frame.output(0)?.shape };
        let (inputs, y, _) = frame.apart()?;
        let (a, b) = inputs.get(0).zip(inputs.get(1)).ok_or(error)?;
        arch::index::arithmetic(operation, &shape, a, b, y).map_err(|fault| error.of(fault))
    }
}
