//! x86-64 with AVX2, and with AVX-512's products of bytes where the processor has them.
//!
//! Each family has the names of its other variants. Whether the processor has the instructions is known at compile time
//! (`-Ctarget-feature`, `-Ctarget-cpu`), or, with the feature `std`, asked of it once; otherwise the plain kernels run.
//!
//! The kernels of CNNs are written once, over `set::Set`, and stamped for each set of instructions by `at_widest!`.

/// Runs a driver that is generic over [`set::Set`], compiled for the widest set that the processor has; `None` if it has none.
///
/// The driver, and all that it calls with the set, is `#[inline(always)]`, so that it has the set's instructions.
macro_rules! at_widest {
    ($driver:ident($($arg:ident: $type:ty),* $(,)?)) => {{
        #[target_feature(enable = "avx2")]
        fn avx2($($arg: $type),*) -> Option<()> {
            $driver::<$crate::arch::x86::avx2::Avx2>($($arg),*)
        }
        #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
        fn vnni($($arg: $type),*) -> Option<()> {
            $driver::<$crate::arch::x86::vnni::Vnni>($($arg),*)
        }
        match $crate::arch::x86::level() {
            // SAFETY: the processor has these instructions.
            $crate::arch::x86::Level::Vnni => unsafe { vnni($($arg),*) },
            // SAFETY: likewise.
            $crate::arch::x86::Level::Avx2 => unsafe { avx2($($arg),*) },
            $crate::arch::x86::Level::Plain => None,
        }
    }};
}

pub mod attention;
mod avx2;
pub mod depthwise;
pub mod elementwise;
mod memory;
pub mod panels;
mod results;
pub mod row_linear;
pub mod rows;
mod set;
pub mod sums;
mod vector;
mod vnni;

/// What the kernels may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// No vector instructions but the compiler's.
    Plain,
    /// AVX2.
    Avx2,
    /// AVX2, and AVX-512 with VNNI.
    Vnni,
}

/// What the processor has.
#[inline(always)]
fn processor() -> Level {
    #[cfg(any(test, feature = "std"))]
    macro_rules! has {
        ($($name:tt)*) => { $(std::is_x86_feature_detected!($name))&&* };
    }
    #[cfg(not(any(test, feature = "std")))]
    macro_rules! has {
        ($($name:tt)*) => { cfg!(all($(target_feature = $name),*)) };
    }
    if !has!("avx2") {
        Level::Plain
    } else if has!("avx512f" "avx512bw" "avx512vl" "avx512vnni") {
        Level::Vnni
    } else {
        Level::Avx2
    }
}

/// What the kernels use: all that the processor has.
#[cfg(not(test))]
#[inline(always)]
pub fn level() -> Level {
    processor()
}

#[cfg(test)]
std::thread_local! {
    static MOST: core::cell::Cell<Level> = const { core::cell::Cell::new(Level::Vnni) };
}

/// What the kernels use: all that the processor has, and [`each_level`] allows.
#[cfg(test)]
pub fn level() -> Level {
    processor().min(MOST.get())
}

/// See [`super::each_level`].
#[cfg(test)]
pub fn each_level(mut run: impl FnMut()) {
    for most in [Level::Plain, Level::Avx2, Level::Vnni] {
        if most <= processor() {
            MOST.set(most);
            run();
        }
    }
    MOST.set(Level::Vnni);
}

/// Whether the kernels may use AVX2.
#[inline(always)]
pub fn avx2() -> bool {
    level() >= Level::Avx2
}

/// See [`super::instructions`].
pub fn instructions() -> &'static str {
    match level() {
        Level::Vnni => "AVX-512 with VNNI",
        Level::Avx2 => "AVX2",
        Level::Plain => "plain",
    }
}
