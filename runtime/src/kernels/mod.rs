//! The arithmetic, by family. A kernel never sees the model file: it takes its parameters as a struct with named
//! fields, slices, and scratch memory of the caller.
//!
//! In each family `reference` is the specification: the plainest code that computes the documented formula, never
//! optimised. The other modules are variants that must give the same bits. The slices must have the documented sizes,
//! which `check` of an operator proves; a variant that is handed others stops early or returns `None`, and never
//! panics.
#![deny(clippy::float_arithmetic)]

pub mod attention;
pub mod choice;
pub mod conv;
pub mod dot;
mod element;
pub mod elementwise;
pub mod energy;
pub mod index;
pub mod linear;
pub mod matmul;
pub mod movement;
pub mod nest;
pub mod norm;
mod operands;
pub mod order;
pub mod pool;
pub mod ratio;
pub mod rectifier;
pub mod recurrence;
pub mod reduce;
pub mod resample;
pub mod row_linear;
pub mod rows;
pub mod scan;
pub mod softmax;
#[cfg(test)]
pub(crate) mod testing;
pub mod window;

pub use element::{Accumulator, DataType, Element};
pub use operands::{Binary, Unary};

use crate::fixed::Multiplier;

/// Per-channel requantization of an accumulator: `clamp(zero_point + requantize(acc + bias[c], mult[c], shift[c]))`.
#[derive(Debug, Clone, Copy)]
pub struct PerChannel<'a, E> {
    /// `(channels)`: the bias with the input's zero point folded in, `bias − zp_x · Σ w`.
    pub bias: &'a [i32],
    /// `(channels)`: see [`Multiplier::mult`].
    pub mult: &'a [i32],
    /// `(channels)`: see [`Multiplier::shift`].
    pub shift: &'a [u8],
    /// The output.
    pub output: Output<E>,
}

/// Where results land: zero point and fused activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output<E> {
    /// Zero point, a value of `E`.
    pub zero_point: i32,
    /// Smallest result.
    pub min: E,
    /// Largest result.
    pub max: E,
}

impl<E: Element> Output<E> {
    /// Whether the clamp is no more than saturation.
    pub fn is_full(&self) -> bool {
        self.min == E::MIN && self.max == E::MAX
    }

    /// Adds the zero point and clamps.
    #[inline(always)]
    pub fn finish(&self, x: i32) -> E {
        E::limit(x.saturating_add(self.zero_point), self.min, self.max)
    }

    /// Rescales a sum, adds the zero point and clamps. Out of line, and so small where it is called: for results that are few.
    #[inline(never)]
    pub fn rescale(&self, sum: E::Sum, m: Multiplier) -> E {
        self.finish(sum.requantize(m))
    }
}

impl<E: Element> PerChannel<'_, E> {
    /// Bias, multiplier and shift of each channel.
    #[inline(always)]
    pub fn channels(&self) -> impl Iterator<Item = (i32, Multiplier)> + '_ {
        let factors = self.mult.iter().zip(self.shift);
        self.bias.iter().zip(factors).map(|(&bias, (&mult, &shift))| (bias, Multiplier { mult, shift }))
    }

    /// The result of one accumulator, bias included.
    #[inline(always)]
    pub fn finish(&self, acc: E::Sum, m: Multiplier) -> E {
        self.output.finish(acc.requantize(m))
    }

    /// The results of an accumulator for each channel, biases included.
    #[inline(always)]
    pub fn finish_all(&self, acc: &[E::Sum], out: &mut [E]) {
        let factors = self.mult.iter().zip(self.shift).map(|(&mult, &shift)| Multiplier { mult, shift });
        out.iter_mut().zip(acc).zip(factors).for_each(|((out, &acc), m)| *out = self.finish(acc, m));
    }
}
