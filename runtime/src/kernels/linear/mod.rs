//! Matrix products with constant weights: int8 or int16 activations × int8 per-channel weights.

pub mod dsp;
pub mod portable;
pub mod reference;
pub mod small;
#[cfg(test)]
mod tests;

use super::PerChannel;

/// Bytes of scratch memory with which products of int8 vectors of so many elements are fastest: a vector, or a block of
/// four, each element 16 bits.
pub fn wished_scratch(rows: usize, depth: usize) -> Option<usize> {
    if rows < dsp::VECTORS {
        return depth.checked_mul(size_of::<i16>());
    }
    dsp::block_len(depth)?.checked_mul(size_of::<u32>())
}

/// How many elements before the input the output must begin, for every kernel of this family to have read a vector before
/// it writes there. `None` for a single vector.
///
/// When n vectors are written, the others are read from `n · inputs` on.
pub fn overlap(rows: usize, inputs: usize, outputs: usize) -> Option<usize> {
    let others = rows.checked_sub(1).filter(|&others| others > 0)?;
    others.checked_mul(outputs.saturating_sub(inputs))
}

/// Parameters of [`reference::fully_connected`].
#[derive(Debug, Clone, Copy)]
pub struct FullyConnected<'a, E> {
    /// Number of input vectors.
    pub rows: usize,
    /// Length of an input vector, at least 1.
    pub inputs: usize,
    /// Length of an output vector, at least 1.
    pub outputs: usize,
    /// `(outputs)`.
    pub requant: PerChannel<'a, E>,
}
