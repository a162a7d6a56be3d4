//! Fixed-point front ends: from samples to the spectra that models read.
//!
//! | module | what it is |
//! |---|---|
//! | [`PreEmphasis`] | `y[n] = x[n] − α·x[n−1]`, sample by sample |
//! | [`Framer`] | overlapping frames of a stream |
//! | [`hann`], [`hamming`], [`apply_window`] | windows, computed at compile time |
//! | [`Rfft`] | the FFT of real samples, 8 to 8192 points, in place |
//! | [`powers`] | the power of each bin |
//! | [`MelBank`] | triangular filters on the mel scale |
//! | [`LogMel`] | all from the window on: a frame in, log-mel energies out |
//!
//! Samples are `i16`. Everything after them is integer too, without a heap, and has the same bits everywhere; tables are
//! constants that the compiler computes, in integers as well. Rounding rules are those of [`crate::fixed`];
//! `docs/numerics.md` gives the error bounds that the tests hold against NumPy and SciPy.
//!
//! ```
//! use teff::dsp::{Framer, LogMel, MelBank, Rfft, hann};
//!
//! // 25 ms windows every 10 ms at 16 kHz, 40 mel bands from 20 Hz to 7.6 kHz.
//! static WINDOW: [u16; 400] = hann();
//! static FFT: Rfft<256> = Rfft::new();
//! static MEL: MelBank<256> = MelBank::new(16_000, 40, 20, 7_600);
//! static LOG_MEL: LogMel<256> = LogMel { window: &WINDOW, fft: &FFT, mel: &MEL };
//!
//! let mut framer = Framer::<400>::new(160);
//! let mut spectrum = [[0; 2]; 256];
//! let mut features = [0; 40];
//! let mut frames = 0;
//! framer.feed(&[0; 16_000], |frame| {
//!     LOG_MEL.run(frame, &mut spectrum, &mut features);
//!     frames += 1;
//! });
//! assert_eq!(frames, 98);
//! ```
#![deny(clippy::float_arithmetic)]

mod framer;
mod log_mel;
mod mel;
mod power;
mod pre_emphasis;
mod rfft;
mod window;

pub use framer::Framer;
pub use log_mel::LogMel;
pub use mel::MelBank;
pub use power::powers;
pub use pre_emphasis::PreEmphasis;
pub use rfft::{Complex, Rfft};
pub use window::{apply_window, hamming, hann};
