//! From a float graph and calibrated ranges to steps of the runtime.
//!
//! [`assign`] gives every activation a scale and zero point; [`lower`](lower::lower) turns each node into a step.

mod assign;
pub mod interpolate;
pub mod lower;
pub mod octaves;
mod params;
pub(crate) mod wide;
mod widths;

pub use assign::{Rule, Span, assign, uncalibrated};
pub use lower::{Lower, Lowering};
pub use params::{QuantParams, multiplier};
pub use widths::{Width, Widths};
