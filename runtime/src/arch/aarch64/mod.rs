//! 64-bit Arm with NEON, and with SDOT where the processor has it.
//!
//! Whether it has is known at compile time (`-Ctarget-feature=+dotprod`, `-Ctarget-cpu`), or, with the feature `std`, asked of it
//! once. Of convolutions and matrix products the drivers are the plain ones: they find these kernels behind [`super::row_quads`].

pub mod depthwise;
mod rows;
#[cfg(test)]
mod tests;
mod vector;

pub use rows::row_quads;

/// Whether the processor has SDOT, four products of bytes to a sum.
#[inline(always)]
pub fn dotprod() -> bool {
    #[cfg(any(test, feature = "std"))]
    return std::arch::is_aarch64_feature_detected!("dotprod");
    #[cfg(not(any(test, feature = "std")))]
    cfg!(target_feature = "dotprod")
}

/// See [`super::instructions`].
pub fn instructions() -> &'static str {
    if dotprod() { "NEON with SDOT" } else { "NEON" }
}
