//! Matrix products with constant weights: int8 or int16 activations × int8 per-channel weights.

pub mod portable;
pub mod reference;
#[cfg(test)]
mod tests;

use super::PerChannel;

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
