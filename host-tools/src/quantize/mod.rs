//! From a float graph and calibrated ranges to steps of the runtime.
//!
//! [`assign`] gives every activation a scale and zero point; [`lower`](lower::lower) turns each node into a step.

mod assign;
pub mod lower;
mod params;

pub use assign::{Rule, assign, uncalibrated};
pub use lower::{Lower, Lowering};
pub use params::{QuantParams, multiplier};
