//! From int8 to int16: see [`super::requantize`].

pub use super::requantize::Params;

/// The operator.
pub type RequantizeS8S16 = super::requantize::Convert<i8, i16>;
