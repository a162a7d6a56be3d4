//! Comparisons, operations on truth values, and choice between two tensors.

pub mod portable;
pub mod reference;
#[cfg(test)]
mod tests;

use super::elementwise::{Broadcast, Term};

/// A relation of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `a < b`
    Less,
    /// `a ≤ b`
    LessEqual,
    /// `a = b`
    Equal,
    /// `a ≠ b`
    NotEqual,
}

/// An operation on two truth values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connective {
    /// Both.
    And,
    /// At least one.
    Or,
    /// Just one.
    Xor,
}

/// Parameters of [`reference::compare`].
#[derive(Debug, Clone, Copy)]
pub struct Compare<'a> {
    /// Shapes.
    pub shape: Broadcast<'a>,
    /// The relation.
    pub relation: Relation,
    /// First operand; the factors of both are as their scales, and positive.
    pub a: Term,
    /// Second operand.
    pub b: Term,
}

/// Parameters of [`reference::logic`].
#[derive(Debug, Clone, Copy)]
pub struct Logic<'a> {
    /// Shapes.
    pub shape: Broadcast<'a>,
    /// The operation.
    pub connective: Connective,
}

/// Parameters of [`reference::select`].
#[derive(Debug, Clone, Copy)]
pub struct Select<'a> {
    /// Shapes of the condition and of both operands; see [`Broadcast`] for the rule.
    pub shapes: [&'a [u32]; 3],
    /// Shape of the result.
    pub out: &'a [u32],
}

impl Relation {
    /// The relation with this code in a file.
    pub const fn from_code(code: u32) -> Option<Self> {
        match code {
            0 => Some(Self::Less),
            1 => Some(Self::LessEqual),
            2 => Some(Self::Equal),
            3 => Some(Self::NotEqual),
            _ => None,
        }
    }

    /// Its code in a file.
    pub const fn code(self) -> u32 {
        match self {
            Self::Less => 0,
            Self::LessEqual => 1,
            Self::Equal => 2,
            Self::NotEqual => 3,
        }
    }

    /// Whether `a` and `b` are so related.
    #[inline(always)]
    pub fn holds<T: PartialOrd>(self, a: T, b: T) -> bool {
        match self {
            Self::Less => a < b,
            Self::LessEqual => a <= b,
            Self::Equal => a == b,
            Self::NotEqual => a != b,
        }
    }
}

impl Connective {
    /// The operation with this code in a file.
    pub const fn from_code(code: u32) -> Option<Self> {
        match code {
            0 => Some(Self::And),
            1 => Some(Self::Or),
            2 => Some(Self::Xor),
            _ => None,
        }
    }

    /// Its code in a file.
    pub const fn code(self) -> u32 {
        match self {
            Self::And => 0,
            Self::Or => 1,
            Self::Xor => 2,
        }
    }

    /// The result.
    #[inline(always)]
    pub fn of(self, a: bool, b: bool) -> bool {
        match self {
            Self::And => a & b,
            Self::Or => a | b,
            Self::Xor => a ^ b,
        }
    }
}
