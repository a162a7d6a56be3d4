//! The arithmetic, by family. A kernel never sees the model file: it takes its parameters as a struct with named
//! fields, slices, and scratch memory of the caller.
//!
//! In each family `reference` is the specification: the plainest code that computes the documented formula, never
//! optimised. The other modules are variants that must give the same bits. The slices must have the documented sizes,
//! which `check` of an operator proves; a variant that is handed others stops early or returns `None`, and never
//! panics.
#![deny(clippy::float_arithmetic)]

pub mod conv;
pub mod dot;
pub mod elementwise;
pub mod linear;
pub mod movement;
pub mod nest;
mod operands;
pub mod pool;
pub mod reduce;
pub mod softmax;
#[cfg(test)]
pub(crate) mod testing;
pub mod window;

pub use operands::{Binary, Unary};

use crate::fixed::{Multiplier, clamp_s8, requantize};

/// Per-channel requantization of an i32 accumulator to int8:
/// `clamp(zero_point + requantize(acc + bias[c], mult[c], shift[c]))`.
#[derive(Debug, Clone, Copy)]
pub struct PerChannel<'a> {
    /// `(channels)`: the bias with the input's zero point folded in, `bias − zp_x · Σ w`.
    pub bias: &'a [i32],
    /// `(channels)`: see [`Multiplier::mult`].
    pub mult: &'a [i32],
    /// `(channels)`: see [`Multiplier::shift`].
    pub shift: &'a [u8],
    /// The output.
    pub output: Output,
}

/// Where results land: zero point and fused activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// Zero point, in `[-128, 127]`.
    pub zero_point: i32,
    /// Smallest result.
    pub min: i8,
    /// Largest result.
    pub max: i8,
}

impl Output {
    /// Adds the zero point and clamps.
    #[inline(always)]
    pub fn finish(&self, x: i32) -> i8 {
        clamp_s8(x.saturating_add(self.zero_point), self.min, self.max)
    }
}

impl PerChannel<'_> {
    /// Bias, multiplier and shift of each channel.
    #[inline(always)]
    pub fn channels(&self) -> impl Iterator<Item = (i32, Multiplier)> + '_ {
        let factors = self.mult.iter().zip(self.shift);
        self.bias.iter().zip(factors).map(|(&bias, (&mult, &shift))| (bias, Multiplier { mult, shift }))
    }

    /// The result of one accumulator, bias included.
    #[inline(always)]
    pub fn finish(&self, acc: i32, m: Multiplier) -> i8 {
        self.output.finish(requantize(acc, m))
    }
}
