//! Perplexity of a converted model.

use anyhow::{Result, ensure};
use rayon::prelude::*;
use serde::Serialize;
use teff::Model;

use super::host;

/// Surprise over a number of tokens.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Perplexity {
    /// Tokens that were predicted.
    pub tokens: usize,
    /// Mean of `−ln p`.
    pub nats: f64,
    /// `exp(nats)`
    pub perplexity: f64,
}

/// Each document scored from its first token on, at most as many tokens as the context holds.
///
/// # Errors
/// If the model is no language model, or a token is beyond its vocabulary.
pub fn perplexity(model: &Model<'_>, documents: &[Vec<u16>], tick: &(dyn Fn() + Sync)) -> Result<Perplexity> {
    let score = |document: &Vec<u16>| -> Result<(f64, usize)> {
        let mut memory = host::memory(model);
        let mut lm = host::language_model(model, &mut memory)?;
        let len = document.len().min(lm.room().saturating_add(1));
        let mut nats = 0.0;
        for pair in document[..len].windows(2) {
            lm.feed(&pair[..1])?;
            nats += surprise(lm.logits()?, pair[1])?;
        }
        tick();
        Ok((nats, len.saturating_sub(1)))
    };
    let scores: Vec<(f64, usize)> = documents.par_iter().map(score).collect::<Result<_>>()?;
    let (nats, tokens) = scores.iter().fold((0.0, 0), |(a, b), (nats, tokens)| (a + nats, b + tokens));
    ensure!(tokens > 0, "the text has no token to predict");
    let nats = nats / tokens as f64;
    Ok(Perplexity { tokens, nats, perplexity: nats.exp() })
}

/// `−ln p(token)` under logits in Q15.16.
fn surprise(logits: &[i32], token: u16) -> Result<f64> {
    ensure!(usize::from(token) < logits.len(), "token {token} is beyond the vocabulary");
    let max = logits.iter().copied().max().unwrap_or(0);
    let below = |l: i32| (f64::from(l) - f64::from(max)) / 65_536.0;
    let total: f64 = logits.iter().map(|&l| below(l).exp()).sum();
    Ok(total.ln() - below(logits[usize::from(token)]))
}
