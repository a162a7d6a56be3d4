//! The activation functions of MLPs, on wide rows.

use crate::fixed::fraction;

/// Entries of a gate table.
pub const GATE_LEN: usize = 513;
/// Fraction bits of a gate table's argument step: 1/32.
const STEP_BITS: u32 = 16 - 5;

/// An activation function of a wide value, giving a wide value.
#[derive(Debug, Clone, Copy)]
pub enum Activation<'a> {
    /// `x · G(x)` with `G(−x) = 1 − G(x)`: SiLU (G the logistic function) and GELU (G the normal distribution function,
    /// or its tanh form). The table holds `round(2^15 · G(i/32))`, at most 2^15 − 1, for i = 0 … 512; it is linear
    /// between entries, and constant from 16 on.
    ///
    /// Error against float: at most `2·2^-15·|x| + 2^-16` for SiLU and GELU.
    Gate(&'a [i16]),
    /// `max(x, 0)`
    Relu,
    /// `max(x, 0)²`, rounded half up.
    SquaredRelu,
}

impl Activation<'_> {
    /// The function.
    #[inline(always)]
    pub fn apply(&self, x: i32) -> i32 {
        match self {
            Self::Gate(table) => Gate::of(table).map_or(0, |gate| gate.apply(x)),
            Self::Relu => x.max(0),
            Self::SquaredRelu => product(x.max(0), x.max(0)),
        }
    }
}

impl<'a> Activation<'a> {
    /// The gate, if it is one.
    pub(super) fn gate(&self) -> Option<Gate<'a>> {
        match self {
            Self::Gate(table) => Gate::of(table),
            _ => None,
        }
    }
}

/// [`Activation::Gate`] with a whole table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gate<'a>(&'a [i16; GATE_LEN]);

impl<'a> Gate<'a> {
    /// A table of that length.
    #[inline(always)]
    fn of(table: &'a [i16]) -> Option<Self> {
        table.try_into().ok().map(Self)
    }

    /// The function.
    #[inline(always)]
    pub(super) fn apply(self, x: i32) -> i32 {
        let at = x.unsigned_abs();
        let step = ((at >> STEP_BITS) as usize).min(GATE_LEN - 2);
        let part = if at >> STEP_BITS > step as u32 { 1 << STEP_BITS } else { at & ((1 << STEP_BITS) - 1) };
        let (Some(&low), Some(&high)) = (self.0.get(step), self.0.get(step + 1)) else { return 0 };
        let rise = (i32::from(high) - i32::from(low)) * part as i32;
        let gate = i32::from(low) + ((rise + (1 << (STEP_BITS - 1))) >> STEP_BITS);
        fraction(x, if x < 0 { (1 << 15) - gate } else { gate })
    }
}

/// The product of two wide values, rounded half up.
#[inline(always)]
pub(super) fn product(a: i32, b: i32) -> i32 {
    let exact = i64::from(a) * i64::from(b) + (1 << 15);
    let (high, y) = ((exact >> 32) as i32, (exact >> 16) as i32);
    // What does not fit has the sign of the high word.
    if high >> 15 == y >> 31 { y } else { (high >> 31) ^ i32::MAX }
}
