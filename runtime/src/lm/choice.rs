//! The likeliest of given answers.

use super::language_model::{LanguageModel, LmError};
use super::sample::ONE;
use crate::fixed::exp2_neg;

/// log2(e) in Q16.
const LOG2_E: u64 = 94_548;

/// The likeliest of `choices` after what `lm` has been fed, and the confidence in each.
///
/// Of each choice the probability is the product of those of its tokens, each among the tokens with which some choice
/// goes on at that place (a trie of commands), so that all confidences sum up to 1 but for rounding. A choice that is the
/// beginning of another ends in `end`. `confidences`: one for each choice, Q16. `lm` is left where it was, its logits
/// used up: feed it the choice to go on.
///
/// # Errors
/// If nothing can be chosen from, the confidences are too few, the context is too short, or the cache cannot be rewound.
pub fn choose(
    lm: &mut LanguageModel<'_, '_>,
    last: u16,
    choices: &[&[u16]],
    end: u16,
    confidences: &mut [u32],
) -> Result<usize, LmError> {
    let start = lm.position();
    let confidences = confidences.get_mut(..choices.len()).ok_or(LmError::NothingAllowed)?;
    let before = start.checked_sub(1).ok_or(LmError::Rewind)?;
    for (choice, confidence) in choices.iter().zip(confidences.iter_mut()) {
        // From the last token on again: the logits of another choice stand there.
        lm.rewind(before)?;
        lm.feed(&[last])?;
        let mut log = 0_u64;
        for depth in 0..=choice.len() {
            let prefix = choice.get(..depth).unwrap_or(&[]);
            let here = |other: &&[u16]| other.starts_with(prefix).then(|| other.get(depth).copied().unwrap_or(end));
            let alternatives = || choices.iter().filter_map(here);
            let own = choice.get(depth).copied().unwrap_or(end);
            if alternatives().any(|token| token != own) {
                log = log.saturating_add(surprise(lm.logits()?, own, alternatives)?);
            }
            if let Some(&token) = choice.get(depth) {
                lm.feed(&[token])?;
            }
        }
        *confidence = exp2_neg(u32::try_from(log).unwrap_or(u32::MAX)) * 2;
    }
    lm.rewind(start)?;
    let best = confidences.iter().enumerate().max_by_key(|(i, confidence)| (**confidence, core::cmp::Reverse(*i)));
    best.map(|(i, _)| i).ok_or(LmError::NothingAllowed)
}

/// `−log2 p` of `own` among the alternatives, each counted once; Q16.
fn surprise<I: Iterator<Item = u16>>(logits: &[i32], own: u16, alternatives: impl Fn() -> I) -> Result<u64, LmError> {
    let logit = |token: u16| logits.get(usize::from(token)).copied().ok_or(LmError::NothingAllowed);
    let mut max = logit(own)?;
    for token in alternatives() {
        max = max.max(logit(token)?);
    }
    let below = |value: i32| u32::try_from((u64::from(value.abs_diff(max)) * LOG2_E) >> 16).unwrap_or(u32::MAX);
    let mut total = 0_u32;
    for (i, token) in alternatives().enumerate() {
        if alternatives().take(i).all(|earlier| earlier != token) {
            total = total.saturating_add(exp2_neg(below(logit(token)?)));
        }
    }
    // total ∈ [2^15, …): −log2 p = below(own) + log2(total / 2^15).
    Ok(u64::from(below(logit(own)?)).saturating_add(u64::from(log2(total).saturating_sub(15 * ONE))))
}

/// `log2(x)` in Q16 for `x ≥ 1`: error at most 2^-15; by squaring.
fn log2(x: u32) -> u32 {
    let whole = 31_u32.saturating_sub(x.leading_zeros());
    // In [1, 2), Q31.
    let mut mantissa = u64::from(x) << (31 - whole.min(31));
    let mut fraction = 0;
    for bit in (0..16).rev() {
        mantissa = (mantissa * mantissa) >> 31;
        if mantissa >= 1 << 32 {
            mantissa >>= 1;
            fraction |= 1 << bit;
        }
    }
    (whole << 16) | fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::float_arithmetic)]
    fn logarithms_are_within_their_error_bound() {
        for x in (1..1_000_000_u32).chain([u32::MAX]) {
            let exact = f64::from(x).log2() * 65_536.0;
            assert!((f64::from(log2(x)) - exact).abs() <= 2.0, "{x}");
        }
    }
}
