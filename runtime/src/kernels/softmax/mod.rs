//! Softmax over the last axis.

pub mod portable;
pub mod reference;
#[cfg(test)]
mod tests;

/// Parameters of [`reference::softmax`].
#[derive(Debug, Clone, Copy)]
pub struct Softmax {
    /// Elements of a row, in `[1, 65535]`.
    pub row_len: usize,
    /// `round(scale · 2^(26 + shift))`, at least 1: one step of the input in the argument format of
    /// [`crate::fixed::exp_neg`], with `shift` more fraction bits.
    pub multiplier: u32,
    /// At most 31.
    pub shift: u8,
}
