//! Fixed-point arithmetic: the only place with rounding rules.
//!
//! Each rule is one named function; `docs/numerics.md` states them in prose. Everything rounds **half up** (towards
//! +∞), `⌊x + ½⌋`, and rounds **once**: a product is held in 64 bits until its single rounding shift; a factor may ask for
//! the two roundings of TensorFlow Lite instead ([`Rounding`]). Arithmetic
//! here is total: no input panics, and out-of-range results saturate.
#![deny(clippy::float_arithmetic)]

mod exp;
mod gates;
mod interpolate;
mod ln;
mod log2;
mod product;
mod products;
mod ratio;
mod requantize;
mod root;
mod sine;

pub use exp::{EXP_FRACTION_BITS, EXP_INPUT_FRACTION_BITS, exp_neg, exp_neg_scaled};
pub use gates::{GATE_BITS, GATE_INPUT_BITS, sigmoid, tanh};
pub use interpolate::{KNOT_FRACTION_BITS, interpolate, interpolate_wide};
pub use ln::{LN_FRACTION_BITS, ln};
pub(crate) use log2::log2_bits;
pub use log2::{LOG2_FRACTION_BITS, log2};
pub use product::multiply_high_by_halves;
pub use products::dot2_q32;
pub use ratio::{ANGLE_FRACTION_BITS, atan2, rounding_divide_i64};
pub(crate) mod exp2;
mod scaled;

pub use exp2::{EXP2_INPUT_FRACTION_BITS, exp2_neg};
pub use requantize::{
    MAX_SHIFT, MIN_MULTIPLIER, MIN_SHIFT, MIN_TFLITE_SHIFT, Multiplier, Rounding, TFLITE_FLAG, WIDE_BITS, clamp_s8,
    clamp_s16, requantize, requantize_i64, requantize_tflite, rounding_divide, rounding_divide_away,
    rounding_shift_right, rounding_shift_right_i64, sat8, sat16,
};
pub use root::{Inverse, inverse_root};
pub use scaled::{
    CommonShift, Factor, HighShift, RowScale, divide_scaled, fraction, inverse_sqrt, reciprocal, requantize_scaled,
    rounding_shift_64, sat32, times,
};
pub use sine::{cos_turns, sin_turns};
