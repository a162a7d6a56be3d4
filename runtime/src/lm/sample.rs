//! The choice of a token from logits.

use crate::fixed::{exp2_neg, sat32};

/// log2(e) in Q16.
const LOG2_E: u64 = 94_548;
/// 1 in Q16.
pub const ONE: u32 = 1 << 16;

/// A deterministic generator of 64-bit numbers: SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom
/// Number Generators", 2014).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if that is 0.
    pub fn below(&mut self, end: u32) -> u32 {
        ((u64::from((self.draw() >> 32) as u32) * u64::from(end)) >> 32) as u32
    }
}

/// How a token is chosen. All fractions are Q16: [`ONE`] is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// 0: the likeliest token; otherwise logits are divided by it.
    pub temperature: u32,
    /// Only among so many likeliest tokens; 0: all.
    pub top_k: u32,
    /// Only among the fewest likeliest tokens whose probabilities sum up to it; [`ONE`]: all.
    pub top_p: u32,
    /// Logits of tokens seen lately are divided by it if positive, multiplied by it if negative (Keskar et al., "CTRL",
    /// 2019); [`ONE`]: no penalty.
    pub repetition_penalty: u32,
}

impl Default for Sampling {
    /// Greedy.
    fn default() -> Self {
        Self { temperature: 0, top_k: 0, top_p: ONE, repetition_penalty: ONE }
    }
}

/// The index of the largest logit, the first of equal ones.
pub fn argmax(logits: &[i32]) -> Option<u16> {
    let mut best: Option<(usize, i32)> = None;
    for (i, &logit) in logits.iter().enumerate() {
        if best.is_none_or(|(_, most)| logit > most) {
            best = Some((i, logit));
        }
    }
    u16::try_from(best?.0).ok()
}

/// Applies the penalty to the tokens of `seen`, once each.
pub fn penalize(logits: &mut [i32], seen: &[u16], penalty: u32) {
    if penalty == ONE || penalty == 0 {
        return;
    }
    for (i, &token) in seen.iter().enumerate() {
        if seen.iter().take(i).any(|&earlier| earlier == token) {
            continue;
        }
        if let Some(logit) = logits.get_mut(usize::from(token)) {
            let (value, penalty) = (i64::from(*logit), i64::from(penalty));
            *logit = sat32(if value > 0 {
                (value << 16).checked_div(penalty).unwrap_or(0)
            } else {
                (value * penalty) >> 16
            });
        }
    }
}

/// Chooses a token. `logits` are in Q15.16 and are overwritten; `i32::MIN` stands for a token that is not allowed. `None`
/// if none is.
///
/// With temperature T: weights `e[i] = exp2_neg((max − l[i])·log2(e)/T)` in Q15, tokens of less than 2^-16 of the
/// likeliest's probability thus get none; top-k and top-p by weight, the first of equal ones; then one of them with
/// probability in proportion.
pub fn sample(logits: &mut [i32], sampling: &Sampling, random: &mut Random) -> Option<u16> {
    let max = logits.iter().copied().max().filter(|&max| max > i32::MIN)?;
    if sampling.temperature == 0 {
        return argmax(logits);
    }
    let factor = (LOG2_E << 16).checked_div(sampling.temperature.into())?;
    let mut total = 0_u32;
    for logit in logits.iter_mut() {
        let below = u64::from(logit.abs_diff(max));
        let allowed = *logit > i32::MIN;
        let exponent = u32::try_from((below * factor) >> 16).unwrap_or(u32::MAX);
        *logit = if allowed { exp2_neg(exponent) as i32 } else { 0 };
        total = total.wrapping_add(logit.unsigned_abs());
    }
    if sampling.top_k > 0 {
        // Every kept token counts one.
        keep(logits, sampling.top_k, |_| 1);
    }
    if sampling.top_p < ONE {
        total = logits.iter().fold(0, |sum: u32, e| sum.wrapping_add(e.unsigned_abs()));
        let wanted = (u64::from(total) * u64::from(sampling.top_p)).div_ceil(1 << 16);
        keep(logits, wanted as u32, i32::unsigned_abs);
    }
    total = logits.iter().fold(0, |sum: u32, e| sum.wrapping_add(e.unsigned_abs()));
    let mut left = random.below(total);
    for (i, &weight) in logits.iter().enumerate() {
        match left.checked_sub(weight.unsigned_abs()) {
            Some(rest) => left = rest,
            None => return u16::try_from(i).ok(),
        }
    }
    None
}

/// Zeroes all but the largest weights whose measures sum up to `wanted`: the fewest such, the first of equal ones.
fn keep(weights: &mut [i32], wanted: u32, measure: impl Fn(i32) -> u32) {
    let sum = |weights: &[i32], at_least: i32| {
        let kept = weights.iter().filter(|&&w| w >= at_least && w > 0);
        kept.fold(0_u32, |sum, &w| sum.saturating_add(measure(w)))
    };
    // The largest threshold that keeps enough; 0 keeps all.
    let (mut low, mut high) = (0_i32, (1 << 15) + 1);
    while high - low > 1 {
        let middle = (low + high) / 2;
        if sum(weights, middle) >= wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    let mut room = wanted.saturating_sub(sum(weights, low.saturating_add(1)));
    for weight in weights.iter_mut() {
        if *weight < low {
            *weight = 0;
        } else if *weight == low {
            if room == 0 {
                *weight = 0;
            } else {
                room = room.saturating_sub(measure(*weight));
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::float_arithmetic)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;

    fn logits() -> Vec<i32> {
        [0.0, 2.0, 1.0, -1.0, 2.0, 0.5].map(|l: f64| (l * 65_536.0) as i32).to_vec()
    }

    fn frequencies(sampling: &Sampling) -> Vec<f64> {
        let mut random = Random(7);
        let mut counts = vec![0.0; 6];
        for _ in 0..40_000 {
            counts[usize::from(sample(&mut logits(), sampling, &mut random).unwrap())] += 1.0 / 40_000.0;
        }
        counts
    }

    #[test]
    fn frequencies_are_the_softmax() {
        for temperature in [0.5, 1.0, 2.0] {
            let found = frequencies(&Sampling { temperature: (temperature * 65_536.0) as u32, ..Sampling::default() });
            let e: Vec<f64> = logits().iter().map(|&l| (f64::from(l) / 65_536.0 / temperature).exp()).collect();
            let total: f64 = e.iter().sum();
            for (found, e) in found.iter().zip(&e) {
                assert!((found - e / total).abs() < 0.01, "{found} for {}", e / total);
            }
        }
    }

    #[test]
    fn top_k_and_top_p_keep_the_fewest_likeliest() {
        let kept = |sampling| -> Vec<usize> {
            let found = frequencies(&sampling);
            (0..6).filter(|&i| found[i] > 0.0).collect()
        };
        let hot = Sampling { temperature: ONE, ..Sampling::default() };
        assert_eq!(kept(Sampling { top_k: 1, ..hot }), [1]);
        assert_eq!(kept(Sampling { top_k: 3, ..hot }), [1, 2, 4]);
        // Probabilities of 1 and 4: 0.38 each; of 2: 0.14.
        assert_eq!(kept(Sampling { top_p: ONE / 4, ..hot }), [1]);
        assert_eq!(kept(Sampling { top_p: ONE / 2, ..hot }), [1, 4]);
        assert_eq!(kept(Sampling { top_p: ONE / 5 * 4, ..hot }), [1, 2, 4]);
    }

    #[test]
    fn greedy_takes_the_first_of_equals_and_penalties_count_once() {
        let random = &mut Random(0);
        assert_eq!(sample(&mut logits(), &Sampling::default(), random), Some(1));
        let mut seen = logits();
        penalize(&mut seen, &[1, 1, 3], 2 * ONE);
        assert_eq!(seen[1], ONE as i32);
        assert_eq!(seen[3], -2 * ONE as i32);
        assert_eq!(sample(&mut [i32::MIN; 4], &Sampling::default(), random), None);
        assert_eq!(sample(&mut [], &Sampling::default(), random), None);
    }

    #[test]
    fn forbidden_tokens_are_never_chosen() {
        let hot = Sampling { temperature: 100 * ONE, ..Sampling::default() };
        let mut random = Random(1);
        for _ in 0..1_000 {
            let chosen = sample(&mut [i32::MIN, 0, i32::MIN, 5], &hot, &mut random);
            assert!(matches!(chosen, Some(1 | 3)));
        }
    }
}
