//! Recurrent layers: LSTM, GRU and plain RNN.
//!
//! Weights are int8 with a factor for each row, states between steps are elements of the output, and everything within a
//! step (gates, the cell state of an LSTM, the exact state of a GRU) is fixed-point of 32 bits.

pub mod portable;
pub mod reference;
#[cfg(test)]
mod tests;

use super::{Accumulator, Element};
use crate::fixed::{GATE_BITS, Multiplier, requantize, rounding_shift_right_i64, sigmoid, tanh};

/// Fraction bits of the state of a GRU.
pub const STATE_BITS: u32 = 24;

/// Weights of a recurrence, row by row, and the factors that bring a row's sum of products to Q12.20.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// `(rows, columns)`.
    pub weights: &'a [i8],
    /// `(rows)`: see [`Multiplier::mult`].
    pub mult: &'a [i32],
    /// `(rows)`: see [`Multiplier::shift`].
    pub shift: &'a [u8],
}

/// Parameters of the recurrences. Rows are those of ONNX's gates, one after another, `hidden` of each.
#[derive(Debug, Clone, Copy)]
pub struct Recurrence<'a> {
    /// Length of the sequence.
    pub steps: usize,
    /// Number of sequences.
    pub batch: usize,
    /// Elements of an input.
    pub inputs: usize,
    /// Elements of a state.
    pub hidden: usize,
    /// Whether time runs from the last element to the first.
    pub reverse: bool,
    /// The weights of the input.
    pub input: Rows<'a>,
    /// The weights of the state.
    pub state: Rows<'a>,
    /// Biases in Q12.20.
    pub bias: &'a [i32],
    /// Zero point of x.
    pub x_zero_point: i32,
    /// Zero point of the state that is given.
    pub h_zero_point: i32,
    /// Zero point of the output.
    pub y_zero_point: i32,
    /// From the scale of the given state to the output's, or to that of the exact state.
    pub h_in: Multiplier,
    /// From the scale of a new state to the output's.
    pub h_out: Multiplier,
}

/// What an LSTM has besides.
#[derive(Debug, Clone, Copy)]
pub struct CellState {
    /// Zero point of the cell state that is given.
    pub in_zero_point: i32,
    /// From its scale to Q12.20.
    pub c_in: Multiplier,
    /// Zero point of the last cell state.
    pub out_zero_point: i32,
    /// From Q12.20 to its scale.
    pub c_out: Multiplier,
}

/// Scratch memory of the recurrences.
pub struct Scratch<'a, E> {
    /// `(gates · hidden)` sums of one sequence, and `(batch, hidden)` exact states where the recurrence has them.
    pub words: &'a mut [i32],
    /// `(batch, hidden)` states, and `(hidden)` for the one sequence in work.
    pub elements: &'a mut [E],
}

/// Words and elements of scratch memory of a recurrence with so many gates, exact states or not.
pub fn scratch_lens(p: &Recurrence, gates: usize, exact: bool) -> Option<[usize; 2]> {
    let states = p.batch.checked_mul(p.hidden)?;
    let words = gates.checked_mul(p.hidden)?.checked_add(if exact { states } else { 0 })?;
    Some([words, states.checked_add(p.hidden)?])
}

impl Recurrence<'_> {
    /// The index of the element that is the `i`-th in time.
    #[inline(always)]
    pub fn step(&self, i: usize) -> usize {
        if self.reverse { self.steps.wrapping_sub(1).wrapping_sub(i) } else { i }
    }

    /// A state as an element of the output.
    #[inline(always)]
    pub fn element<E: Element>(&self, state: i32, factor: Multiplier) -> E {
        E::saturate(requantize(state, factor).saturating_add(self.y_zero_point))
    }
}

/// The sum of a row, of elements that are `sum` above their zero point, in Q12.20.
#[inline(always)]
pub fn weighted<E: Element>(sum: E::Sum, mult: i32, shift: u8) -> i32 {
    sum.requantize(Multiplier { mult, shift })
}

/// The new cell state and the new state (Q2.30) of an LSTM, from its gates (Q12.20) and its cell state (Q12.20).
///
/// `c' = ⌊(σ(f)·c + ⌊σ(i)·tanh(g)/2^10⌋)/2^30 + ½⌋`, `h' = ⌊σ(o)·tanh(c')/2^30 + ½⌋`
#[inline(always)]
pub fn lstm_cell([i, o, f, g]: [i32; 4], c: i32) -> (i32, i32) {
    let [i, o, f, g] = [sigmoid(i), sigmoid(o), sigmoid(f), tanh(g)].map(i64::from);
    // At most 2^30 · 2^31 and 2^60 / 2^10.
    let c = rounding_shift_right_i64(f * i64::from(c) + ((i * g) >> 10), GATE_BITS as u8);
    (c, rounding_shift_right_i64(o * i64::from(tanh(c)), GATE_BITS as u8))
}

/// The new state (Q8.24) of a GRU: `h' = ⌊((2^30 − z)·⌊n/2^6⌋ + z·h)/2^30 + ½⌋` of the gate z (Q2.30), the candidate n
/// (Q2.30) and the state h (Q8.24).
#[inline(always)]
pub fn gru_cell(z: i32, n: i32, h: i32) -> i32 {
    let (z, n, h) = (i64::from(z), i64::from(n >> (GATE_BITS - STATE_BITS)), i64::from(h));
    rounding_shift_right_i64(((1 << GATE_BITS) - z) * n + z * h, GATE_BITS as u8)
}

/// `⌊gate·x/2^30 + ½⌋` for a gate in Q2.30.
#[inline(always)]
pub fn gated(gate: i32, x: i32) -> i32 {
    rounding_shift_right_i64(i64::from(gate).wrapping_mul(x.into()), GATE_BITS as u8)
}
