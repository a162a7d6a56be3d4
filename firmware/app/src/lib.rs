//! Teff applications that know no board: they see frames, results and pins through `embedded-io` and `embedded-hal`.
//!
//! A board crate brings the peripherals, the memory and the embedded model, and calls [`digits::run`].
//!
//! | module | what it is |
//! |---|---|
//! | [`compare`] | runs the model step by step and shows a PC what each step gave |
//! | [`conformance`] | runs the self-tests of a stream of models |
//! | [`digits`] | runs the model on each frame of a stream and writes the outputs |
//! | [`keyword`] | listens, and tells the words that a streaming model hears |
//! | [`serial`] | serial lines as streams |
//! | [`spectra`] | runs the fixed-point front end on frames of sound |
//! | [`vibration`] | scores the spectra of an accelerometer and raises an alarm |
//! | [`storyteller`] | continues each line of a stream with a language model, token by token |
//! | [`markers`] | the two functions between which instructions are counted |
//!
//! Errors are returned with their cause; nothing here panics. Logs go through `defmt` under the feature of that name.
#![no_std]

#[cfg(test)]
extern crate std;

#[macro_use]
mod log;
pub mod compare;
pub mod conformance;
pub mod digits;
mod error;
pub mod keyword;
pub mod markers;
pub mod serial;
pub mod spectra;
pub mod storyteller;
mod stream;
#[cfg(test)]
mod testing;
mod unconnected;
pub mod vibration;

pub use error::{Error, Mismatch};
pub use unconnected::Unconnected;
