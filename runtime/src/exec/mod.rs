//! The executor: runs the steps of a verified model over memory that the caller owns.
#![deny(clippy::arithmetic_side_effects, clippy::as_conversions)]

mod error;
mod frame;
mod session;
mod spans;

pub use error::{RunError, SelfTestError, SessionError};
pub use frame::{Apart, Frame, Operands};
pub use session::{Session, StepEvent};
pub use spans::Span;

pub use crate::kernels::{Binary, Unary};
