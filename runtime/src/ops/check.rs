//! What the checks of several operators share.

use crate::fixed::{MAX_SHIFT, MIN_SHIFT, MIN_TFLITE_SHIFT, Multiplier, Rounding, TFLITE_FLAG};
use crate::format::layout::MAX_RANK;
use crate::format::{DataType, OpIssue, StepView, Storage, Tensor};
use crate::kernels::Element;
use crate::kernels::index::position;
use crate::kernels::nest::MAX_AXES;

/// Products that an accumulator can sum: in int8 `2^16 · 2^14 + 2^30 < 2^31`, in int16 `2^16 · 2^22 + 2^31 < 2^47`.
pub(super) const MAX_DEPTH: usize = (1 << 16) - 1;

// The kernels take every shape that a file may hold.
const _: () = assert!(MAX_RANK <= MAX_AXES);

/// That the step has so many operands.
pub(super) fn operands(step: &StepView<'_>, inputs: usize, outputs: usize) -> Result<(), OpIssue> {
    ensure(step.inputs.len() == inputs && step.outputs.len() == outputs, OpIssue::Operands)
}

/// `issue`, unless `holds`.
pub(super) fn ensure(holds: bool, issue: OpIssue) -> Result<(), OpIssue> {
    if holds { Ok(()) } else { Err(issue) }
}

/// Input `slot`, of this element type.
pub(super) fn input<'m>(step: &StepView<'m>, slot: usize, data_type: DataType) -> Result<Tensor<'m>, OpIssue> {
    typed(step.input(slot), data_type)
}

/// Output `slot`, of this element type.
pub(super) fn output<'m>(step: &StepView<'m>, slot: usize, data_type: DataType) -> Result<Tensor<'m>, OpIssue> {
    typed(step.output(slot), data_type)
}

fn typed(tensor: Option<Tensor<'_>>, data_type: DataType) -> Result<Tensor<'_>, OpIssue> {
    let tensor = tensor.ok_or(OpIssue::Operands)?;
    ensure(tensor.data_type == data_type, OpIssue::DataType)?;
    Ok(tensor)
}

/// Input 0 and output 0, both of elements `E`, of a step with so many inputs and one output.
pub(super) fn unary<'m, E: Element>(step: &StepView<'m>, inputs: usize) -> Result<(Tensor<'m>, Tensor<'m>), OpIssue> {
    operands(step, inputs, 1)?;
    Ok((input(step, 0, E::DATA_TYPE)?, output(step, 0, E::DATA_TYPE)?))
}

/// Input and output of a step that moves values: any type, and the same quantization.
pub(super) fn movement<'m>(step: &StepView<'m>) -> Result<(Tensor<'m>, Tensor<'m>), OpIssue> {
    operands(step, 1, 1)?;
    let x = step.input(0).ok_or(OpIssue::Operands)?;
    let y = output(step, 0, x.data_type)?;
    ensure(x.same_quantization(&y), OpIssue::Quantization)?;
    Ok((x, y))
}

/// Two inputs, each of which can be broadcast to the output, all of elements `E`: along each axis, counted from the
/// innermost, it has the output's length, or 1, or no axis.
pub(super) fn binary<E: Element>(step: &StepView<'_>) -> Result<(), OpIssue> {
    let (a, y) = unary::<E>(step, 2)?;
    let b = input(step, 1, E::DATA_TYPE)?;
    broadcasts(&a, &y)?;
    broadcasts(&b, &y)
}

/// That `x` can be broadcast to `y`.
pub(super) fn broadcasts(x: &Tensor<'_>, y: &Tensor<'_>) -> Result<(), OpIssue> {
    let mut axes = x.shape.iter().rev().zip(y.shape.iter().rev());
    let fits = axes.all(|(&from, &to)| from == to || from == 1);
    ensure(x.shape.len() <= y.shape.len() && fits, OpIssue::Shape)
}

/// A tensor of truth values: i8 of scale 1 and zero point 0.
pub(super) fn truth(tensor: Option<Tensor<'_>>) -> Result<Tensor<'_>, OpIssue> {
    let tensor = typed(tensor, DataType::I8)?;
    ensure(tensor.scale == 1.0 && tensor.zero_point == 0, OpIssue::Quantization)?;
    Ok(tensor)
}

/// A tensor whose elements are compared with each other: i8, i16 or i32.
pub(super) fn ordered(tensor: Option<Tensor<'_>>) -> Result<Tensor<'_>, OpIssue> {
    let tensor = tensor.ok_or(OpIssue::Operands)?;
    ensure(tensor.data_type != DataType::U8, OpIssue::DataType)?;
    Ok(tensor)
}

/// That `y` has the shape of `x` but the length `len` along `axis`.
pub(super) fn along(x: &Tensor<'_>, y: &Tensor<'_>, axis: usize, len: usize) -> Result<(), OpIssue> {
    let mut pairs = x.shape.iter().zip(y.shape).enumerate();
    let fits = pairs.all(|(i, (&from, &to))| if i == axis { usize::try_from(to) == Ok(len) } else { from == to });
    ensure(axis < x.shape.len() && x.shape.len() == y.shape.len() && fits, OpIssue::Shape)
}

/// That `y` has the shape of `x` with the axes whose bits are set in `axes` of length 1.
pub(super) fn reduced(x: &Tensor<'_>, y: &Tensor<'_>, axes: u32) -> Result<(), OpIssue> {
    let rank = u32::try_from(x.shape.len()).map_err(|_| OpIssue::Shape)?;
    ensure(axes.checked_shr(rank) == Some(0), OpIssue::Params)?;
    let mut pairs = x.shape.iter().zip(y.shape).zip(0_u32..);
    let fits = pairs.all(|((&from, &to), axis)| to == if axes >> axis & 1 == 1 { 1 } else { from });
    ensure(x.shape.len() == y.shape.len() && fits, OpIssue::Shape)
}

/// That the i32 input `slot`, if it is a constant, holds places of an axis of length `len`.
pub(super) fn constant_indices(step: &StepView<'_>, slot: usize, len: usize) -> Result<(), OpIssue> {
    let Some(Storage::Constant) = step.input(slot).map(|tensor| tensor.storage) else { return Ok(()) };
    let indices: &[i32] = step.constant(slot).ok_or(OpIssue::Storage)?;
    ensure(indices.iter().all(|&index| position(index, len).is_some()), OpIssue::Params)
}

/// Constant input `slot`, of this element type.
pub(super) fn constant<'m>(step: &StepView<'m>, slot: usize, data_type: DataType) -> Result<Tensor<'m>, OpIssue> {
    let tensor = input(step, slot, data_type)?;
    ensure(tensor.storage == Storage::Constant, OpIssue::Storage)?;
    Ok(tensor)
}

/// That the rows of `depth` weights `w` keep to [`Element::MAX_WEIGHTS`].
pub(super) fn weights<E: Element>(w: &[i8], depth: usize) -> Result<(), OpIssue> {
    let sum = |row: &[i8]| row.iter().fold(0_u32, |sum, w| sum.saturating_add(w.unsigned_abs().into()));
    let small = E::MAX_WEIGHTS == u32::MAX || w.chunks(depth.max(1)).all(|row| sum(row) <= E::MAX_WEIGHTS);
    ensure(small, OpIssue::Depth)
}

/// Bias, multipliers and shifts in the constant inputs `slot`, `slot + 1`, `slot + 2`, a value for each channel, for
/// sums of `depth` products of elements `E` and weights.
pub(super) fn per_channel<E: Element>(
    step: &StepView<'_>,
    slot: usize,
    channels: usize,
    depth: usize,
) -> Result<(), OpIssue> {
    ensure(depth <= MAX_DEPTH, OpIssue::Depth)?;
    for (slot, data_type) in (slot..).zip([DataType::I32, DataType::I32, DataType::U8]) {
        ensure(constant(step, slot, data_type)?.len == channels, OpIssue::Shape)?;
    }
    let bias: &[i32] = step.constant(slot).ok_or(OpIssue::Storage)?;
    let mult: &[i32] = step.constant(slot + 1).ok_or(OpIssue::Storage)?;
    let shift: &[u8] = step.constant(slot + 2).ok_or(OpIssue::Storage)?;
    ensure(bias.iter().all(|b| b.unsigned_abs() <= E::MAX_BIAS), OpIssue::Bias)?;
    for (&mult, &shift) in mult.iter().zip(shift) {
        multiplier::<E>(Multiplier { mult, shift })?;
    }
    Ok(())
}

/// That the multiplier is normalised, the shift in its range, and the rounding one that sums of elements `E` may have: in
/// int16 they are wide, and rounded once.
pub(super) fn multiplier<E: Element>(m: Multiplier) -> Result<(), OpIssue> {
    let (min, admitted) = match m.rounding() {
        Rounding::Once => (MIN_SHIFT, true),
        Rounding::TfLite => (MIN_TFLITE_SHIFT, E::DATA_TYPE == DataType::I8),
    };
    ensure(admitted && (min..=MAX_SHIFT).contains(&(m.shift & !TFLITE_FLAG)), OpIssue::Shift)?;
    ensure(m.is_valid(), OpIssue::Multiplier)
}

/// Sizes of a sliding window as an operator's parameters hold them, `[vertical, horizontal]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sliding {
    pub(super) kernel: [usize; 2],
    pub(super) stride: [u16; 2],
    pub(super) dilation: [u16; 2],
    /// Top, left, bottom, right.
    pub(super) pad: [u16; 4],
}

/// That a window over images `x` gives images `y`, both NHWC and equally many; every size of the window is below
/// 2^15 and the image's below 2^24, so that no index overflows.
pub(super) fn window(x: [usize; 4], y: [usize; 4], sliding: &Sliding) -> Result<(), OpIssue> {
    let ([in_n, in_h, in_w, _], [out_n, out_h, out_w, _]) = (x, y);
    let [kernel_h, kernel_w] = sliding.kernel;
    let [stride_h, stride_w] = sliding.stride.map(usize::from);
    let [dilation_h, dilation_w] = sliding.dilation.map(usize::from);
    let [top, left, bottom, right] = sliding.pad.map(usize::from);
    ensure(in_n == out_n, OpIssue::Shape)?;
    axis([in_h, out_h], [kernel_h, stride_h, dilation_h], [top, bottom])?;
    axis([in_w, out_w], [kernel_w, stride_w, dilation_w], [left, right])
}

/// [`window`] along one axis.
fn axis(
    [input, output]: [usize; 2],
    [kernel, stride, dilation]: [usize; 3],
    [before, after]: [usize; 2],
) -> Result<(), OpIssue> {
    const LIMIT: usize = 1 << 15;
    const LONGEST: usize = 1 << 24;
    let positive = [kernel, stride, dilation].iter().all(|&v| (1..LIMIT).contains(&v));
    ensure(positive && [before, after].iter().all(|&v| v < LIMIT) && input < LONGEST, OpIssue::Params)?;
    let reach = kernel.saturating_sub(1).saturating_mul(dilation).saturating_add(1);
    let room = input.saturating_add(before).saturating_add(after).checked_sub(reach);
    let wanted = room.and_then(|room| room.checked_div(stride)).map(|n| n.saturating_add(1));
    ensure(wanted == Some(output), OpIssue::Shape)
}
