//! The first half of an MLP: matrix product, activation, and for a gated one the product with the other half.
//!
//! Inputs: `x` (R, 2 + I) narrow; the matrix as in [`super::row_linear`]; `gate` (513) i16 constant if the activation is a
//! gate table. Output: (R, 2 + N) narrow, N at least the number of results: O/2 if gated, O if not.
//! Arithmetic: [`crate::kernels::row_linear::reference::mlp_up`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use super::rows::{self, Matrix, check_matrix, matrix_of, scratch_bytes, split_scratch, typed, typed_mut};
use crate::arch;
use crate::exec::{Frame, RunError, Span};
use crate::format::{DataType, OpIssue, StepView};
use crate::kernels::row_linear::{self as kernels, Activation, GATE_LEN};

/// [`Params::activation`]: `x · G(x)` by a gate table.
pub const GATE: u8 = 0;
/// [`Params::activation`]: `max(x, 0)`.
pub const RELU: u8 = 1;
/// [`Params::activation`]: `max(x, 0)²`.
pub const SQUARED_RELU: u8 = 2;

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// The weights; rows 2j and 2j + 1 are gate and value of result j if gated.
    pub matrix: Matrix,
    /// 1 if there is a bias, or 0.
    pub biased: u8,
    /// [`GATE`], [`RELU`] or [`SQUARED_RELU`].
    pub activation: u8,
    /// 1 if gated, or 0.
    pub gated: u8,
    /// 0.
    pub reserved: u8,
}

/// The operator.
pub struct MlpUp;

fn results(outputs: usize, params: &Params) -> usize {
    if params.gated != 0 { outputs / 2 } else { outputs }
}

impl Operator for MlpUp {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        let known = params.activation <= SQUARED_RELU && params.gated <= 1 && params.biased <= 1;
        ensure(known && params.reserved == 0, OpIssue::Params)?;
        let ([row_count, len], bits) = rows::narrow(&step.input(0).ok_or(OpIssue::Operands)?)?;
        let found = check_matrix(step, 1, &params.matrix, (len, bits), params.biased != 0)?;
        let table = usize::from(params.activation == GATE);
        check::operands(step, found.next.saturating_add(table), 1)?;
        if table > 0 {
            ensure(check::constant(step, found.next, DataType::I16)?.len == GATE_LEN, OpIssue::Shape)?;
            let table: &[i16] = step.constant(found.next).ok_or(OpIssue::Storage)?;
            ensure(table.iter().all(|&g| g >= 0), OpIssue::Params)?;
        }
        let outputs = found.weights.outputs;
        ensure(params.gated == 0 || outputs.is_multiple_of(2), OpIssue::Shape)?;
        let ([out_rows, out_len], _) = rows::narrow(&step.output(0).ok_or(OpIssue::Operands)?)?;
        ensure(out_rows == row_count && out_len >= results(outputs, params), OpIssue::Shape)?;
        scratch_bytes(results(outputs, params), found.weights.halves())
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let found = matrix_of(frame, 1, &params.matrix, params.biased != 0)?;
        let w = found.weights;
        let activation = match params.activation {
            GATE => Activation::Gate(frame.constant(found.next)?),
            RELU => Activation::Relu,
            _ => Activation::SquaredRelu,
        };
        let (_, bits) = rows::narrow(&frame.output(0)?).map_err(|_| error)?;
        let p = kernels::MlpUp { activation, gated: params.gated != 0, bits };
        let [x, out, scratch] = frame.spans([Span::Input(0), Span::Output(0), Span::Scratch])?;
        let scratch = split_scratch(scratch, results(w.outputs, params), w.halves()).ok_or(error)?;
        arch::row_linear::mlp_up(&p, &w, typed(error, x)?, typed_mut(error, out)?, scratch).ok_or(error)
    }
}
