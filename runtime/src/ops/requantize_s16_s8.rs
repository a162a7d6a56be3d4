//! From int16 to int8: see [`super::requantize`].

pub use super::requantize::Params;

/// The operator.
pub type RequantizeS16S8 = super::requantize::Convert<i16, i8>;
