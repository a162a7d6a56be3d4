//! What the recurrent operators share: their parameters, and the check of their operands.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::check::{self, MAX_DEPTH, ensure};
use crate::fixed::Multiplier;
use crate::format::{DataType, OpIssue, StepView, Storage, Tensor};
use crate::kernels::Element;
use crate::kernels::recurrence::{CellState, Recurrence, Rows, Scratch, scratch_lens};

/// Slot of the state that is given.
pub(super) const H: usize = 8;
/// Slot of the cell state that is given.
pub(super) const C: usize = 9;

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// Of `h_in`, `h_out`, `c_in` and `c_out`, see [`Multiplier::mult`]; 0 for those that the operator does not have.
    pub mult: [i32; 4],
    /// The shifts that belong to `mult`; 1 for those that the operator does not have.
    pub shift: [u8; 4],
    /// 1 if time runs from the last element to the first, else 0.
    pub reverse: u8,
    /// GRU: 1 if the reset comes after the product with the recurrent weights. RNN: 1 for the positive part, 0 for tanh.
    /// Else 0.
    pub variant: u8,
    /// 0.
    pub reserved: [u8; 2],
}

impl Params {
    fn factors(&self) -> [Multiplier; 4] {
        let ([a, b, c, d], [s, t, u, v]) = (self.mult, self.shift);
        [(a, s), (b, t), (c, u), (d, v)].map(|(mult, shift)| Multiplier { mult, shift })
    }
}

/// What distinguishes the recurrences.
pub(super) struct Shape {
    /// Rows of the weights in multiples of the hidden size.
    pub(super) gates: usize,
    /// Length of the bias in multiples of the hidden size.
    pub(super) biases: usize,
    /// Whether there is a cell state.
    pub(super) cell: bool,
    /// Whether there are exact states between the steps.
    pub(super) exact: bool,
}

impl Shape {
    /// Sums in work: all gates, and for a GRU the inner part of its candidate.
    fn sums(&self) -> usize {
        self.gates.max(self.biases)
    }

    /// The scratch memory: words, then elements.
    pub(super) fn scratch<'a, E: Element>(&self, p: &Recurrence, bytes: &'a mut [u8]) -> Option<Scratch<'a, E>> {
        let [words, elements] = scratch_lens(p, self.sums(), self.exact)?;
        let (first, rest) = bytes.split_at_mut_checked(words.checked_mul(size_of::<i32>())?)?;
        let rest = rest.get_mut(..elements.checked_mul(size_of::<E>())?)?;
        Some(Scratch { words: <[i32]>::mut_from_bytes(first).ok()?, elements: <[E]>::mut_from_bytes(rest).ok()? })
    }
}

/// The kernel's parameters.
pub(super) fn kernel<'m>(step: &StepView<'m>, params: &Params) -> Option<Recurrence<'m>> {
    let (x, h, y) = (step.input(0)?, step.input(H)?, step.output(0)?);
    let rows = |weights: usize, mult: usize| -> Option<Rows<'m>> {
        Some(Rows { weights: step.constant(weights)?, mult: step.constant(mult)?, shift: step.constant(mult + 1)? })
    };
    let [h_in, h_out, _, _] = params.factors();
    Some(Recurrence {
        steps: x.dim(0)?,
        batch: x.dim(1)?,
        inputs: x.dim(2)?,
        hidden: y.dim(2)?,
        reverse: params.reverse == 1,
        input: rows(1, 4)?,
        state: rows(2, 6)?,
        bias: step.constant(3)?,
        x_zero_point: x.zero_point,
        h_zero_point: h.zero_point,
        y_zero_point: y.zero_point,
        h_in,
        h_out,
    })
}

/// The kernel's parameters of the cell state.
pub(super) fn cell(step: &StepView<'_>, params: &Params) -> Option<CellState> {
    let (c, last) = (step.input(C)?, step.output(1)?);
    let [_, _, c_in, c_out] = params.factors();
    Some(CellState { in_zero_point: c.zero_point, c_in, out_zero_point: last.zero_point, c_out })
}

/// That the operands belong to a recurrence of this shape, and every factor and sum is in range; gives the bytes of
/// scratch memory.
pub(super) fn check<E: Element>(step: &StepView<'_>, params: &Params, shape: &Shape) -> Result<usize, OpIssue> {
    let states = if shape.cell { 2 } else { 1 };
    check::operands(step, H + states, states)?;
    let x = check::input(step, 0, E::DATA_TYPE)?;
    let y = check::output(step, 0, E::DATA_TYPE)?;
    let (&[steps, batch, inputs], &[out_steps, out_batch, hidden]) = (x.shape, y.shape) else {
        return Err(OpIssue::Shape);
    };
    ensure((steps, batch) == (out_steps, out_batch), OpIssue::Shape)?;
    let length = |n: usize| u32::try_from(n).ok().and_then(|n| n.checked_mul(hidden)).ok_or(OpIssue::Shape);
    let (rows, biases) = (length(shape.gates)?, length(shape.biases)?);
    for (slot, columns, mult) in [(1, inputs, 4), (2, hidden, 6)] {
        ensure(check::constant(step, slot, DataType::I8)?.shape == [rows, columns], OpIssue::Shape)?;
        ensure(usize::try_from(columns).is_ok_and(|c| c <= MAX_DEPTH), OpIssue::Depth)?;
        ensure(check::constant(step, mult, DataType::I32)?.shape == [rows], OpIssue::Shape)?;
        ensure(check::constant(step, mult + 1, DataType::U8)?.shape == [rows], OpIssue::Shape)?;
    }
    ensure(check::constant(step, 3, DataType::I32)?.shape == [biases], OpIssue::Shape)?;
    let mut given: [Option<Tensor<'_>>; 3] = [Some(x), None, None];
    for (slot, place) in (H..H + states).zip(given.iter_mut().skip(1)) {
        let state = check::input(step, slot, E::DATA_TYPE)?;
        ensure(state.shape == [batch, hidden], OpIssue::Shape)?;
        *place = Some(state);
    }
    if shape.cell {
        ensure(check::output(step, 1, E::DATA_TYPE)?.shape == [batch, hidden], OpIssue::Shape)?;
    }
    // The kernel gets all of them at once.
    let [x, h, c] = given;
    for (a, b) in [(&x, &h), (&x, &c), (&h, &c)] {
        if let (Some(a), Some(b)) = (a, b) {
            let in_memory = a.storage != Storage::Constant && b.storage != Storage::Constant;
            ensure(!(in_memory && a.shares_memory(b)), OpIssue::Operands)?;
        }
    }
    ensure(params.reverse <= 1 && params.reserved == [0; 2], OpIssue::Params)?;
    let factors = params.factors();
    factors.into_iter().try_for_each(check::multiplier::<E>)?;
    ensure(shape.cell || factors.iter().skip(2).all(|m| *m == Multiplier { mult: 0, shift: 1 }), OpIssue::Params)?;
    let p = kernel(step, params).ok_or(OpIssue::Storage)?;
    for rows in [p.input, p.state] {
        for (&mult, &shift) in rows.mult.iter().zip(rows.shift) {
            check::multiplier::<E>(Multiplier { mult, shift })?;
        }
    }
    let [words, elements] = scratch_lens(&p, shape.sums(), shape.exact).ok_or(OpIssue::Shape)?;
    let bytes = |len: usize, size: usize| len.checked_mul(size).ok_or(OpIssue::Shape);
    bytes(words, size_of::<i32>())?.checked_add(bytes(elements, size_of::<E>())?).ok_or(OpIssue::Shape)
}
