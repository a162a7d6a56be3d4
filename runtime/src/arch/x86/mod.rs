//! x86-64 with AVX2, and with AVX-512's products of bytes where the processor has them.
//!
//! Each family has the names of its other variants. Whether the processor has the instructions is known at compile time
//! (`-Ctarget-feature`, `-Ctarget-cpu`), or, with the feature `std`, asked of it once; otherwise the plain kernels run.

pub mod attention;
pub mod depthwise;
pub mod elementwise;
pub mod panels;
pub mod row_linear;
pub mod rows;
pub mod sums;
mod vector;
mod vnni;

/// Whether the processor has AVX2.
#[inline(always)]
pub fn avx2() -> bool {
    #[cfg(any(test, feature = "std"))]
    return std::is_x86_feature_detected!("avx2");
    #[cfg(not(any(test, feature = "std")))]
    cfg!(target_feature = "avx2")
}

/// See [`super::instructions`].
pub fn instructions() -> &'static str {
    match (vnni::vnni(), avx2()) {
        (true, _) => "AVX-512 with VNNI",
        (false, true) => "AVX2",
        (false, false) => "plain",
    }
}
