//! Tokens per CPU second of a language model, beside the same model in plain f32.

use std::path::Path;

use anyhow::{Result, ensure};
use serde::Serialize;
use teff::Model;
use teff::lm::sample::argmax;

use super::plain::PlainLlama;
use super::{median, seconds};
use crate::lm::{folder, host};

/// Turns that the two programs take.
const ROUNDS: usize = 41;
/// The token that texts begin with, in both of the tokenizers that there are.
const FIRST: u16 = 1;

/// What a language model costs here.
#[derive(Debug, Clone, Serialize)]
pub struct LanguageReport {
    /// Tokens of a text: greedy, from the first token on, until the cache is full, at most 256.
    pub tokens: usize,
    /// Texts, of each the time was taken; medians are reported.
    pub rounds: usize,
    /// The instructions that Teff's kernels were chosen for.
    pub instructions: &'static str,
    /// Tokens that Teff makes in a CPU second on one thread.
    pub tokens_per_second: f64,
    /// The same model in plain f32.
    pub plain: Option<PlainReport>,
}

/// What the model in plain f32 costs.
#[derive(Debug, Clone, Serialize)]
pub struct PlainReport {
    /// What it was compiled for.
    pub instructions: &'static str,
    /// Tokens that it makes in a CPU second.
    pub tokens_per_second: f64,
    /// How many times as fast Teff is.
    pub ratio: f64,
    /// Leading tokens of both texts that are the same.
    pub same_tokens: usize,
}

/// Writes texts with `model`, and in turn with the float model of `folder`, if there is one.
///
/// # Errors
/// If the model is no language model, or the float model is of another kind or size.
pub fn measure(model: &Model<'_>, folder: Option<&Path>) -> Result<LanguageReport> {
    let mut memory = host::memory(model);
    let mut lm = host::language_model(model, &mut memory)?;
    let tokens = lm.slots().min(256);
    let mut plain = match folder {
        Some(folder) => {
            let network = folder::read(folder)?;
            let vocabulary = network.architecture.vocabulary;
            ensure!(
                vocabulary == lm.vocabulary(),
                "{} knows {vocabulary} tokens, the .teff {}: not the same model",
                folder.display(),
                lm.vocabulary()
            );
            Some(PlainLlama::new(&network, tokens)?)
        }
        None => None,
    };
    let (mut own, mut others) = (Vec::new(), Vec::new());
    let (mut text, mut plain_text) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        lm.reset();
        text.clear();
        let mut failure = None;
        own.push(seconds(|| {
            let mut token = FIRST;
            for _ in 0..tokens {
                match lm.feed(&[token]).and_then(|()| lm.logits()) {
                    Ok(logits) => token = argmax(logits).unwrap_or(0),
                    Err(error) => failure = Some(error),
                }
                text.push(token);
            }
        }));
        if let Some(error) = failure {
            return Err(error.into());
        }
        if let Some(plain) = &mut plain {
            plain_text.clear();
            others.push(seconds(|| {
                let mut token = FIRST;
                for position in 0..tokens {
                    token = largest(plain.step(token, position));
                    plain_text.push(token);
                }
            }));
        }
    }
    let per_second = |times: Vec<f64>| tokens as f64 / median(times);
    let tokens_per_second = per_second(own);
    let plain = plain.map(|plain| {
        let plain_per_second = per_second(others);
        PlainReport {
            instructions: plain.instructions(),
            tokens_per_second: plain_per_second,
            ratio: tokens_per_second / plain_per_second,
            same_tokens: text.iter().zip(&plain_text).take_while(|(a, b)| a == b).count(),
        }
    });
    let instructions = teff::arch::instructions();
    Ok(LanguageReport { tokens, rounds: ROUNDS, instructions, tokens_per_second, plain })
}

/// The index of the largest, the first of equal ones.
fn largest(logits: &[f32]) -> u16 {
    let mut best = (0, f32::NEG_INFINITY);
    for (i, &logit) in logits.iter().enumerate() {
        if logit > best.1 {
            best = (i, logit);
        }
    }
    best.0 as u16
}
