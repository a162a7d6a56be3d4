//! RMSNorm or LayerNorm of wide rows, to narrow rows.
//!
//! Inputs: `x` (R, N) wide; `gamma` (N) i16 constant. Output: (R, 2 + N) narrow. β of a LayerNorm is folded into the bias of
//! what follows.
//! Arithmetic: [`crate::kernels::rows::reference::row_norm`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use super::rows::{self, scratch_bytes, split_scratch, typed, typed_mut};
use crate::arch;
use crate::exec::{Frame, RunError, Span};
use crate::fixed::{Factor, MIN_MULTIPLIER};
use crate::format::{DataType, OpIssue, StepView};
use crate::kernels::rows as kernels;

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// `round(ε · N · 2^32)`.
    pub epsilon: u32,
    /// Significand of `√N / 2^gamma_shift`, at least 2^30.
    pub mult: i32,
    /// Its negated exponent.
    pub shift: i16,
    /// 1 if the mean is subtracted, or 0.
    pub centred: u8,
    /// 0.
    pub reserved: u8,
}

/// The operator.
pub struct RowNorm;

impl Operator for RowNorm {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check::operands(step, 2, 1)?;
        ensure(params.centred <= 1 && params.reserved == 0, OpIssue::Params)?;
        ensure(params.mult >= MIN_MULTIPLIER, OpIssue::Multiplier)?;
        let [row_count, len] = rows::wide(&step.input(0).ok_or(OpIssue::Operands)?)?;
        let (shape, _) = rows::narrow(&step.output(0).ok_or(OpIssue::Operands)?)?;
        let gamma = check::constant(step, 1, DataType::I16)?;
        ensure(shape == [row_count, len] && gamma.len == len, OpIssue::Shape)?;
        scratch_bytes(len, 0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let gamma = frame.constant(1)?;
        let (_, bits) = rows::narrow(&frame.output(0)?).map_err(|_| error)?;
        let factor = Factor { mult: params.mult, shift: params.shift.into() };
        let p = kernels::RowNorm { len: gamma.len(), centred: params.centred != 0, epsilon: params.epsilon, factor, bits };
        let [x, out, scratch] = frame.spans([Span::Input(0), Span::Output(0), Span::Scratch])?;
        let (products, _) = split_scratch(scratch, p.len, 0).ok_or(error)?;
        arch::rows::row_norm(&p, typed(error, x)?, gamma, typed_mut(error, out)?, products).ok_or(error)
    }
}
