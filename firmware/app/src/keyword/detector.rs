//! From the probabilities of each run to the words that were said.

/// Most classes that a model may have.
pub const CLASSES: usize = 32;
/// The first classes are no words: silence and other speech.
pub const NO_WORDS: usize = 2;

/// A score follows the probability by a quarter of the difference, run by run.
const SMOOTHING_BITS: u32 = 2;
/// Score, of 65 536, from which on a word is heard.
const ENTER: u16 = 48_000;
/// Score below which it is over.
const LEAVE: u16 = 24_000;

/// Smooths probabilities and tells each word once.
#[derive(Debug, Clone)]
pub struct Detector {
    scores: [u16; CLASSES],
    heard: Option<u8>,
}

/// What is heard after a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The class of the word that is being heard.
    pub word: Option<u8>,
    /// Whether it was not heard before this run.
    pub begins: bool,
    /// The best class, of all.
    pub best: u8,
    /// Its score, in 256ths.
    pub score: u8,
}

impl Detector {
    /// One that has heard nothing.
    pub const fn new() -> Self {
        Self { scores: [0; CLASSES], heard: None }
    }

    /// Takes the probabilities of all classes, in steps of 1/256 from −128 for 0 on, as a softmax in int8 gives them;
    /// classes from [`CLASSES`] on are ignored.
    ///
    /// `s ← s + ⌊(p − s)/4⌋` for each score. A word is heard when its score reaches 0.73 and until it falls below 0.37, or
    /// until another reaches 0.73.
    pub fn take(&mut self, probabilities: &[i8]) -> Verdict {
        let mut best = (0_u8, 0_u16);
        for (class, (score, &p)) in (0_u8..).zip(self.scores.iter_mut().zip(probabilities)) {
            let p = i32::from(p.cast_unsigned() ^ 0x80) << 8;
            let old = i32::from(*score);
            // Between the two, and both are in [0, 65 535].
            *score = (old + ((p - old) >> SMOOTHING_BITS)) as u16;
            if *score > best.1 {
                best = (class, *score);
            }
        }
        let (class, score) = best;
        let before = self.heard;
        if score >= ENTER {
            self.heard = Some(class).filter(|&class| usize::from(class) >= NO_WORDS);
        } else if let Some(word) = before
            && self.scores.get(usize::from(word)).is_none_or(|&score| score < LEAVE)
        {
            self.heard = None;
        }
        let begins = self.heard.is_some() && self.heard != before;
        Verdict { word: self.heard, begins, best: class, score: (score >> 8) as u8 }
    }
}

impl Default for Detector {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Four classes of which one is certain.
    fn certain(class: usize) -> [i8; 4] {
        core::array::from_fn(|i| if i == class { 127 } else { -128 })
    }

    fn heard(runs: &[usize]) -> Vec<Option<u8>> {
        let mut detector = Detector::new();
        runs.iter().map(|&class| detector.take(&certain(class)).word).collect()
    }

    #[test]
    fn a_word_is_heard_after_five_runs_and_until_it_fades() {
        let runs = [[2; 8], [0; 8]].concat();
        let found = heard(&runs);
        // 1 − ¾⁵ is the first above 0.73; from 0.9, ¾⁴ is below 0.37.
        let expected = [vec_of(None, 4), vec_of(Some(2), 7), vec_of(None, 5)].concat();
        assert_eq!(found, expected);
    }

    fn vec_of(word: Option<u8>, runs: usize) -> Vec<Option<u8>> {
        std::vec![word; runs]
    }

    #[test]
    fn one_run_is_no_word_and_other_speech_none_at_all() {
        assert_eq!(heard(&[2, 0, 2, 0, 2, 0]), vec_of(None, 6));
        assert_eq!(heard(&[1; 20]), vec_of(None, 20));
    }

    #[test]
    fn each_word_begins_once() {
        let mut detector = Detector::new();
        let begins = [[2; 10], [3; 10], [1; 10], [2; 10]]
            .concat()
            .into_iter()
            .filter_map(|class| {
                let verdict = detector.take(&certain(class));
                verdict.begins.then_some(verdict.word)
            })
            .collect::<Vec<_>>();
        assert_eq!(begins, [Some(2), Some(3), Some(2)]);
    }

    #[test]
    fn scores_stay_in_their_range() {
        let mut detector = Detector::new();
        for _ in 0..100 {
            detector.take(&[127; CLASSES + 1]);
        }
        assert_eq!(detector.take(&[127; CLASSES + 1]).score, 254);
        for _ in 0..100 {
            detector.take(&[-128; CLASSES]);
        }
        let verdict = detector.take(&[-128; CLASSES]);
        assert_eq!((verdict.word, verdict.begins, verdict.score), (None, false, 0));
    }
}
