//! What the operators over rows share: see [`crate::kernels::rows`] for the two forms of a row.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::check::{self, ensure};
use crate::exec::{Frame, RunError};
use crate::format::{DataType, OpIssue, StepView, Tensor};
use crate::kernels::row_linear::Weights;
use crate::kernels::rows::{HEADER, WIDE_FRACTION_BITS};

/// Longest row: keeps sums of squares below 2^63, and indices far from overflow.
pub(super) const MAX_LEN: usize = 1 << 16;

/// Rows and elements of a wide tensor `(rows, n)`.
pub(super) fn wide(tensor: &Tensor<'_>) -> Result<[usize; 2], OpIssue> {
    ensure(tensor.data_type == DataType::I32, OpIssue::DataType)?;
    let unit = tensor.zero_point == 0 && tensor.scale.to_bits() == exponent(WIDE_FRACTION_BITS);
    ensure(unit, OpIssue::Quantization)?;
    rows(tensor)
}

/// Rows, integers and bits of a narrow tensor `(rows, 2 + n)` of scale `2^(1 − bits)`.
pub(super) fn narrow(tensor: &Tensor<'_>) -> Result<([usize; 2], u32), OpIssue> {
    ensure(tensor.data_type == DataType::I16, OpIssue::DataType)?;
    ensure(tensor.zero_point == 0, OpIssue::Quantization)?;
    let bits = (2..=16).find(|bits| tensor.scale.to_bits() == exponent(bits - 1)).ok_or(OpIssue::Quantization)?;
    let [rows, len] = rows(tensor)?;
    ensure(len > HEADER, OpIssue::Shape)?;
    Ok(([rows, len - HEADER], bits))
}

/// The bits of the float `2^-n`.
fn exponent(n: u32) -> u32 {
    127_u32.saturating_sub(n) << 23
}

fn rows(tensor: &Tensor<'_>) -> Result<[usize; 2], OpIssue> {
    let [rows, len] = *tensor.shape else { return Err(OpIssue::Shape) };
    let (rows, len) = (usize::try_from(rows), usize::try_from(len));
    let (Ok(rows), Ok(len)) = (rows, len) else { return Err(OpIssue::Shape) };
    ensure(len <= MAX_LEN && rows <= MAX_LEN, OpIssue::Shape)?;
    Ok([rows, len])
}

/// How a weight matrix lies in the file; part of the parameters of each operator that has one.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Matrix {
    /// See [`Weights::group`].
    pub group: u16,
    /// See [`Weights::bits`].
    pub bits: u8,
    /// See [`Weights::shift`].
    pub shift: u8,
}

/// The operands of a weight matrix: `w` (O, I·bits/8) u8, `scales` (O, I/group) i8 if there are groups, `mult` (O) i32, and
/// if there is a bias, `bias` (O) i32; all constants, from a first input slot on.
pub(super) struct Operands<'m> {
    pub(super) weights: Weights<'m>,
    /// The first input slot after them.
    pub(super) next: usize,
}

/// Finds the matrix; does not look at its values.
pub(super) fn matrix<'m>(step: &StepView<'m>, first: usize, params: &Matrix, biased: bool) -> Option<Operands<'m>> {
    let [outputs, row_bytes] = *step.input(first)?.shape else { return None };
    let (outputs, row_bytes) = (usize::try_from(outputs).ok()?, usize::try_from(row_bytes).ok()?);
    let inputs = row_bytes.checked_mul(8)?.checked_div(params.bits.into())?;
    let group = usize::from(params.group);
    let mut next = first + 1;
    let mut take = || {
        next += 1;
        next - 1
    };
    let scales = if group == 0 { &[] } else { step.constant(take())? };
    let mult = step.constant(take())?;
    let bias = if biased { step.constant(take())? } else { &[] };
    let data = step.constant(first)?;
    let (bits, shift) = (params.bits.into(), params.shift);
    Some(Operands { weights: Weights { bits, inputs, outputs, group, data, scales, mult, shift, bias }, next })
}

/// Proves a matrix sound for rows of `x_bits` bits and `len` integers, and no sum of it too large.
pub(super) fn check_matrix<'m>(
    step: &StepView<'m>,
    first: usize,
    params: &Matrix,
    (len, x_bits): (usize, u32),
    biased: bool,
) -> Result<Operands<'m>, OpIssue> {
    ensure(matches!(params.bits, 8 | 4 | 2), OpIssue::Params)?;
    check::constant(step, first, DataType::U8)?;
    let found = matrix(step, first, params, biased).ok_or(OpIssue::Operands)?;
    let w = &found.weights;
    ensure(w.inputs == len && w.inputs <= MAX_LEN && w.outputs <= MAX_LEN, OpIssue::Shape)?;
    let per_word = 32_usize.checked_div(params.bits.into()).unwrap_or(1);
    let whole = w.group == 0 || (w.group.is_multiple_of(16) && w.inputs.is_multiple_of(w.group));
    ensure(w.inputs.is_multiple_of(per_word) && whole, OpIssue::Shape)?;
    let groups = if w.group == 0 { 0 } else { w.groups() };
    ensure(w.scales.len() == w.outputs.saturating_mul(groups) && w.mult.len() == w.outputs, OpIssue::Shape)?;
    ensure(w.bias.is_empty() || w.bias.len() == w.outputs, OpIssue::Shape)?;
    ensure(w.mult.iter().all(|m| (1..1 << 27).contains(m)), OpIssue::Multiplier)?;
    // |x| ≤ 2^(bits − 1); weights are at most 2^7, 2^3, 3.
    let largest = match params.bits {
        8 => 128_u64,
        4 => 8,
        _ => 3,
    };
    let product = largest << (x_bits - 1);
    let fits = |sum: u64| sum.checked_mul(product).is_some_and(|sum| i32::try_from(sum).is_ok());
    let small = if w.group == 0 {
        fits(w.inputs as u64)
    } else {
        let sum = |scales: &[i8]| scales.iter().map(|s| u64::from(s.unsigned_abs())).sum::<u64>();
        w.scales.chunks_exact(groups.max(1)).all(|scales| fits(sum(scales).saturating_mul(w.group as u64)))
    };
    ensure(small, OpIssue::Depth)?;
    Ok(found)
}

/// A slice of `T` from the bytes of an operand.
pub(super) fn typed<T: FromBytes + Immutable + KnownLayout>(
    frame_error: RunError,
    bytes: &[u8],
) -> Result<&[T], RunError> {
    <[T]>::ref_from_bytes(bytes).map_err(|_| frame_error)
}

/// [`typed`], to be written.
pub(super) fn typed_mut<T: FromBytes + IntoBytes + KnownLayout>(
    frame_error: RunError,
    bytes: &mut [u8],
) -> Result<&mut [T], RunError> {
    <[T]>::mut_from_bytes(bytes).map_err(|_| frame_error)
}

/// Splits scratch memory into so many words and 16-bit values.
pub(super) fn split_scratch(scratch: &mut [u8], words: usize, halves: usize) -> Option<(&mut [i32], &mut [i16])> {
    let (words, rest) = <[i32]>::mut_from_prefix_with_elems(scratch, words).ok()?;
    let (halves, _) = <[i16]>::mut_from_prefix_with_elems(rest, halves).ok()?;
    Some((words, halves))
}

/// Bytes of scratch memory for so many words and 16-bit values.
pub(super) fn scratch_bytes(words: usize, halves: usize) -> Result<usize, OpIssue> {
    let bytes = words.checked_mul(size_of::<i32>()).and_then(|w| w.checked_add(halves.checked_mul(2)?));
    bytes.ok_or(OpIssue::Shape)
}

/// The matrix of a verified step.
pub(super) fn matrix_of<'m>(
    frame: &Frame<'_, 'm>,
    first: usize,
    params: &Matrix,
    biased: bool,
) -> Result<Operands<'m>, RunError> {
    frame.expect(matrix(frame.step(), first, params, biased))
}
