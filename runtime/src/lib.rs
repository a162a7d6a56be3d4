//! Teff: an embedded inference runtime for quantized CNNs and small language models.
//!
//! # Layers
//!
//! | module | what it is | may use |
//! |---|---|---|
//! | [`fixed`] | every rounding rule, one named function each | nothing |
//! | [`kernels`] | the arithmetic of each operator family: `reference` is the specification, the variants are fast | `fixed` |
//! | [`arch`] | the one place that knows the target: picks a variant of each kernel | `kernels` |
//! | [`mod@format`] | the `.teff` file and [`Model::verify`], which turns untrusted bytes into a [`Model`] | the op table |
//! | [`ops`] | one file an operator: parameters, check, run; and the one table of them | `arch`, `exec` |
//! | [`dsp`] | fixed-point front ends: window, FFT, mel filter bank, framing | `fixed` |
//! | [`real`] | real numbers at the edge: quantizing inputs, ranking outputs | `format` |
//! | [`lm`] | tokenizer, generation, constraints: the loop around a language model | `exec` |
//! | [`exec`] | [`Session`]: runs the steps of a model in a caller-owned arena | `format`, `ops` |
//!
//! # Guarantees
//!
//! 1. **One model, one answer.** All inference arithmetic is integer and every kernel variant gives the bits of its
//!    reference, so every target gives the same bits.
//! 2. **Verify once, then never fail.** After [`Model::verify`], [`Session::run`] does not panic, does not read
//!    outside its slices and ends in bounded time.
//! 3. **No heap.** The crate is `no_std` without `alloc`. Memory is one slice that the caller owns, of
//!    [`Model::memory_len`] bytes. The feature `rayon`, which is for PCs, is the exception: parts of a step that is split over
//!    threads have scratch memory, and a copy of an input that is overwritten, on the heap.
//! 4. **You pay for what you use.** [`Model::verify_with`] takes the operators that a firmware names; no other is
//!    linked.
//!
//! # Example
//!
//! ```no_run
//! use teff::{Aligned, Model, Session};
//!
//! fn classify(file: &Aligned<[u8; 4096]>, image: &[i8]) -> Option<i8> {
//!     let model = Model::verify(&file.0).ok()?;
//!     let mut memory = Aligned([0; 16 * 1024]);
//!     let mut session = Session::new(&model, &mut memory.0).ok()?;
//!     session.input_i8(0).ok()?.copy_from_slice(image);
//!     session.run().ok()?;
//!     session.output_i8(0).ok()?.first().copied()
//! }
//! ```
#![no_std]
#![deny(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

#[cfg(target_endian = "big")]
compile_error!("Teff reads its little-endian file in place: big-endian targets are not supported");

#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod arch;
mod checksum;
pub mod dsp;
pub mod exec;
pub mod fixed;
pub mod format;
pub mod kernels;
pub mod lm;
pub mod ops;
pub mod real;

pub use checksum::{Crc32, crc32};
pub use exec::{RunError, SelfTestError, Session, SessionError, StepEvent};
pub use format::{Model, VerifyError};
#[cfg(feature = "rayon")]
pub use ops::over_threads;

/// Aligns what it holds to 16 bytes: the alignment that a model file and a session's memory need.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(16))]
pub struct Aligned<T: ?Sized>(pub T);
