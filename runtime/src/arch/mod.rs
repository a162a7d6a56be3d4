//! The one place that knows the target: it names, for each kernel family, the variant that the operators use.
//!
//! Every variant gives the bits of the family's `reference`; choosing among them changes speed only.

pub use crate::kernels::conv::portable as conv;
