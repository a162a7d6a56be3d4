//! Golden cases of lstm, and what those of the other recurrences share.

use anyhow::Result;
use teff_tools::ir::ValueId;
use teff_tools::ops::recurrent::{Cell, Recurrent};

use super::{Builder, Case};

/// A recurrence over 7 steps of a batch of 2, all of its results returned; with states given, or beginning at 0.
pub(super) fn recurrence(name: &str, cell: Cell, reverse: bool, given: bool, steps: f32) -> Result<Case> {
    let (batch, inputs, hidden) = (2, 5, 6);
    let state: &[usize] = &[batch, hidden];
    let shapes: &[&[usize]] = &[&[7, batch, inputs], state, state];
    let states = if cell == Cell::Lstm { 2 } else { 1 };
    let mut b = Builder::new(&shapes[..if given { 1 + states } else { 1 }]);
    let rows = cell.gates() * hidden;
    let mut operands = vec![b.x(0), b.constant(&[rows, inputs], 0.7), b.constant(&[rows, hidden], 0.5)];
    operands.push(b.constant(&[cell.biases() * hidden], 0.3));
    operands.extend((0..states).map(|i| if given { b.x(1 + i) } else { b.constant(state, 0.0) }));
    let outputs: Vec<ValueId> = b.nodes(Recurrent { cell, reverse }, &operands)?;
    Ok(b.finish(name, &outputs, 1.0, steps))
}

pub(super) fn cases() -> Result<Vec<Case>> {
    Ok(vec![
        recurrence("lstm", Cell::Lstm, false, false, 6.0)?,
        recurrence("lstm_reverse_from_a_state", Cell::Lstm, true, true, 6.0)?,
    ])
}
