//! The loop around a language model: tokens in, tokens out.
//!
//! | module | what it is |
//! |---|---|
//! | [`language_model`] | a session with its entry points, its position, and its logits |
//! | [`tokenizer`] | text to tokens and back |
//! | [`sample`] | the choice of a token: greedy, temperature, top-k, top-p, repetition penalty |
//! | [`generator`] | generation: stop tokens and strings, budgets, cancelling |
//! | [`choice`] | the likeliest of given answers, with confidences |
//! | [`grammar`] | generation within a regular grammar |
//! | [`mod@speculate`] | greedy generation with a smaller model's drafts |
//!
//! All of it is integer arithmetic: the same text on every machine.
#![deny(clippy::float_arithmetic)]

pub mod choice;
pub mod generator;
pub mod grammar;
pub mod language_model;
pub mod sample;
pub mod speculate;
pub mod tokenizer;

pub use choice::choose;
pub use generator::{Budget, Finish, Generator, Options};
pub use grammar::{Grammar, Transition};
pub use language_model::{LanguageModel, LmError};
pub use sample::{Random, Sampling};
pub use speculate::{Speculation, speculate};
pub use tokenizer::{Tokenizer, TokenizerError};

/// The entry point of one token that gives its logits.
pub const DECODE: &str = "decode";
/// The entry point of several tokens that only fills the cache.
pub const PREFILL: &str = "prefill";
/// The entry point of several tokens that gives the likeliest successor of each.
pub const VERIFY: &str = "verify";
