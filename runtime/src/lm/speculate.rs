//! Greedy generation with a smaller model's drafts (Leviathan et al., "Fast Inference from Transformers via Speculative
//! Decoding", 2023).

use core::ops::ControlFlow;

use super::language_model::{LanguageModel, LmError};
use super::sample::argmax;

/// Most tokens of a draft and the one before it.
pub const MAX_DRAFT: usize = 16;

/// What was drafted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Speculation {
    /// Tokens given.
    pub tokens: usize,
    /// Tokens drafted.
    pub drafted: usize,
    /// Drafted tokens that the large model gives too.
    pub accepted: usize,
    /// Runs of the large model.
    pub runs: usize,
}

/// Generates greedily what `lm` alone would, with drafts of `draft`, until `each` breaks, `count` tokens are given or a
/// context is full. Both have been fed the same tokens; `last` is the last of them.
///
/// # Errors
/// If `lm` has no entry point `verify` of 2 to [`MAX_DRAFT`] tokens, a cache slides, or a run fails.
pub fn speculate(
    lm: &mut LanguageModel<'_, '_>,
    draft: &mut LanguageModel<'_, '_>,
    last: u16,
    count: usize,
    mut each: impl FnMut(u16) -> ControlFlow<()>,
) -> Result<Speculation, LmError> {
    let width = lm.verify_len().filter(|width| (2..=MAX_DRAFT).contains(width)).ok_or(LmError::NoVerify)?;
    let mut done = Speculation::default();
    // Both forget the last token: each round begins with it.
    let mut position = lm.position().checked_sub(1).ok_or(LmError::Rewind)?;
    draft.rewind(position)?;
    lm.rewind(position)?;
    let mut last = last;
    while done.tokens < count && lm.room() >= width && draft.room() >= width {
        let mut buffer = [0_u16; MAX_DRAFT];
        let tokens = buffer.get_mut(..width).ok_or(LmError::NoVerify)?;
        let mut next = last;
        for token in tokens.iter_mut() {
            *token = next;
            draft.feed(&[next])?;
            next = argmax(draft.logits()?).ok_or(LmError::NothingAllowed)?;
        }
        let successors = lm.verify(tokens)?;
        done.runs = done.runs.saturating_add(1);
        done.drafted = done.drafted.saturating_add(width.saturating_sub(1));
        let mut fed = 0_usize;
        for (i, &successor) in successors.iter().enumerate() {
            let token = u16::try_from(successor).map_err(|_| LmError::NothingAllowed)?;
            fed = fed.saturating_add(1);
            last = token;
            done.tokens = done.tokens.saturating_add(1);
            let stop = each(token).is_break() || done.tokens >= count;
            let agreed = tokens.get(i.saturating_add(1)) == Some(&token);
            done.accepted = done.accepted.saturating_add(usize::from(agreed));
            if stop {
                position = position.saturating_add(fed);
                lm.rewind(position)?;
                draft.rewind(position)?;
                return Ok(done);
            }
            if !agreed {
                break;
            }
        }
        position = position.saturating_add(fed);
        lm.rewind(position)?;
        draft.rewind(position)?;
    }
    Ok(done)
}
