//! The `.teff` file: its layout, and the verification that turns untrusted bytes into a [`Model`].
//!
//! `docs/format.md` describes the file to the byte.
#![deny(clippy::arithmetic_side_effects, clippy::as_conversions)]

mod error;
pub mod layout;
mod model;
mod tensor;
mod verify;

pub use error::{OpIssue, PortIssue, SectionIssue, TensorIssue, VerifyError};
pub use model::{Entry, Model, Port, StepView};
pub use tensor::{DataType, Storage, Tensor};
