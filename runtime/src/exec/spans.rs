//! Any number of operands at once.

use super::error::RunError;
use super::frame::{Frame, NOWHERE, memory_range};

/// An operand of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// Input of this slot.
    Input(usize),
    /// Output of this slot.
    Output(usize),
    /// The scratch memory.
    Scratch,
}

impl Frame<'_, '_> {
    /// The bytes of several operands; empty for one that lies in the file, or that the step does not have as scratch
    /// memory.
    ///
    /// # Errors
    /// If one does not exist, or two overlap: an operand and the output in its place are one operand.
    pub fn spans<const N: usize>(&mut self, spans: [Span; N]) -> Result<[&mut [u8]; N], RunError> {
        let error = self.inconsistent();
        let mut ranges = [NOWHERE; N];
        for (range, span) in ranges.iter_mut().zip(spans) {
            *range = match span {
                Span::Input(slot) => memory_range(&self.input(slot)?),
                Span::Output(slot) => memory_range(&self.output(slot)?),
                Span::Scratch if self.step.scratch_len == 0 => NOWHERE,
                Span::Scratch => {
                    self.step.scratch_offset..self.step.scratch_offset.saturating_add(self.step.scratch_len)
                }
            };
        }
        self.memory.get_disjoint_mut(ranges).map_err(|_| error)
    }

    /// Whether output `output` takes the place of input `input`.
    ///
    /// # Errors
    /// If one of them does not exist.
    pub fn in_place(&self, input: usize, output: usize) -> Result<bool, RunError> {
        let (x, y) = (memory_range(&self.input(input)?), memory_range(&self.output(output)?));
        Ok(!x.is_empty() && x == y)
    }

    /// The error for an index from data that is out of range.
    pub fn index_out_of_range(&self) -> RunError {
        RunError::IndexOutOfRange { step: u16::try_from(self.step.index).unwrap_or(u16::MAX) }
    }
}
