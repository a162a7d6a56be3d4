//! Softmax over the last axis.

pub mod portable;
pub mod reference;
#[cfg(test)]
mod tests;

/// Parameters of [`reference::softmax_s8`].
#[derive(Debug, Clone, Copy)]
pub struct Softmax {
    /// Elements of a row, in `[1, 65535]`.
    pub row_len: usize,
    /// `round(scale · 2^26)`, at least 1: one step of the input in the argument format of
    /// [`crate::fixed::exp_neg`].
    pub multiplier: u32,
}
