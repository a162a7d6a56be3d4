//! Generation, token by token.

use core::ops::ControlFlow;

use heapless::HistoryBuf;

use super::language_model::{LanguageModel, LmError};
use super::sample::{ONE, Random, Sampling, penalize, sample};
use super::tokenizer::Tokenizer;
use crate::fixed::sat32;

/// Tokens that the repetition penalty looks back on.
pub const PENALTY_WINDOW: usize = 64;
/// Longest stop string in bytes.
pub const MAX_STOP_LEN: usize = 32;

/// How long a text may get.
#[derive(Debug, Clone, Copy)]
pub struct Budget<'a> {
    /// Most tokens, the closing ones not counted.
    pub tokens: usize,
    /// The distance of a stop token's logit to the largest is multiplied by it, Q16: above [`ONE`] texts get longer,
    /// below shorter; 0 stops at once.
    pub stop_scale: u32,
    /// Tokens that are forced when the budget is used up, such as the end of a thought.
    pub closing: &'a [u16],
}

impl Budget<'_> {
    /// So many tokens, nothing forced.
    pub const fn tokens(tokens: usize) -> Self {
        Self { tokens, stop_scale: ONE, closing: &[] }
    }
}

/// What is generated, and when it ends.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Seed of the choices: the same text for the same seed on every machine.
    pub seed: u64,
    /// Tokens that end the text; they are not part of it.
    pub stop_tokens: &'a [u16],
    /// Strings that end the text, each at most [`MAX_STOP_LEN`] bytes; they are part of it.
    pub stop_strings: &'a [&'a str],
    /// How long it may get.
    pub budget: Budget<'a>,
}

/// Why the text ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// A stop token.
    StopToken(u16),
    /// The stop string of this index.
    StopString(usize),
    /// The budget was used up.
    Budget,
    /// The context is full.
    ContextFull,
    /// The callback said so.
    Cancelled,
}

/// Generates from a language model.
pub struct Generator<'g, 's, 'm> {
    lm: &'g mut LanguageModel<'s, 'm>,
    tokenizer: Option<Tokenizer<'m>>,
    recent: HistoryBuf<u16, PENALTY_WINDOW>,
    random: Random,
}

impl<'g, 's, 'm> Generator<'g, 's, 'm> {
    /// A generator over `lm`, which keeps what it has been fed. Stop strings need the tokenizer.
    pub fn new(lm: &'g mut LanguageModel<'s, 'm>, tokenizer: Option<Tokenizer<'m>>, seed: u64) -> Self {
        Self { lm, tokenizer, recent: HistoryBuf::new(), random: Random(seed) }
    }

    /// Feeds a prompt.
    ///
    /// # Errors
    /// As [`LanguageModel::feed`].
    pub fn feed(&mut self, tokens: &[u16]) -> Result<(), LmError> {
        self.recent.extend_from_slice(tokens);
        self.lm.feed(tokens)
    }

    /// Chooses the next token after what was fed, among those that `allowed` lets pass; does not feed it.
    ///
    /// # Errors
    /// [`LmError::NothingAllowed`].
    pub fn choose(&mut self, options: &Options<'_>, allowed: impl Fn(u16) -> bool) -> Result<u16, LmError> {
        let logits = self.lm.logits()?;
        for (token, logit) in (0_u16..).zip(logits.iter_mut()) {
            if !allowed(token) {
                *logit = i32::MIN;
            }
        }
        scale_stops(logits, options.stop_tokens, options.budget.stop_scale);
        let window = self.recent.as_slices();
        for part in [window.0, window.1] {
            penalize(logits, part, options.sampling.repetition_penalty);
        }
        sample(logits, &options.sampling, &mut self.random).ok_or(LmError::NothingAllowed)
    }

    /// Generates until something ends it, and tells `each` of every token, its bytes in the text at hand.
    ///
    /// # Errors
    /// As [`LanguageModel::feed`] and [`Generator::choose`].
    pub fn generate(
        &mut self,
        options: &Options<'_>,
        mut each: impl FnMut(u16) -> ControlFlow<()>,
    ) -> Result<Finish, LmError> {
        let mut tail = HistoryBuf::<u8, MAX_STOP_LEN>::new();
        for _ in 0..options.budget.tokens {
            let token = self.choose(options, |_| true)?;
            if options.stop_tokens.contains(&token) {
                return Ok(Finish::StopToken(token));
            }
            if each(token).is_break() {
                return Ok(Finish::Cancelled);
            }
            if let Some(tokenizer) = &self.tokenizer {
                for byte in tokenizer.token_bytes(token, false) {
                    tail.write(byte);
                    let ends = |stop: &&str| !stop.is_empty() && ends_with(&tail, stop.as_bytes());
                    if let Some(index) = options.stop_strings.iter().position(ends) {
                        return Ok(Finish::StopString(index));
                    }
                }
            }
            if self.lm.room() == 0 {
                return Ok(Finish::ContextFull);
            }
            self.feed(&[token])?;
        }
        for &token in options.budget.closing {
            if each(token).is_break() {
                return Ok(Finish::Cancelled);
            }
            if self.lm.room() == 0 {
                return Ok(Finish::ContextFull);
            }
            self.feed(&[token])?;
        }
        Ok(Finish::Budget)
    }
}

/// Whether the last bytes are `stop`.
fn ends_with(tail: &HistoryBuf<u8, MAX_STOP_LEN>, stop: &[u8]) -> bool {
    tail.len() >= stop.len() && tail.oldest_ordered().skip(tail.len() - stop.len()).eq(stop)
}

/// Moves the logits of stop tokens: their distance to the largest times `scale`.
fn scale_stops(logits: &mut [i32], stops: &[u16], scale: u32) {
    if scale == ONE {
        return;
    }
    let max = logits.iter().copied().max().unwrap_or(0);
    for &stop in stops {
        if let Some(logit) = logits.get_mut(usize::from(stop)).filter(|logit| **logit > i32::MIN) {
            let below = (i64::from(logit.abs_diff(max)) * i64::from(scale)) >> 16;
            *logit = sat32(i64::from(max).saturating_sub(below)).max(i32::MIN + 1);
        }
    }
}
