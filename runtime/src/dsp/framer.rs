//! Overlapping frames of a stream of samples.

/// Collects samples and gives, for each `hop` samples, a frame of the last `LEN`.
#[derive(Debug, Clone)]
pub struct Framer<const LEN: usize> {
    samples: [i16; LEN],
    filled: usize,
    hop: usize,
}

impl<const LEN: usize> Framer<LEN> {
    /// Frames that begin `hop` samples after each other; `hop` is taken into `[1, LEN]`.
    pub const fn new(hop: usize) -> Self {
        const { assert!(LEN > 0, "a frame has samples") };
        let hop = if hop == 0 {
            1
        } else if hop > LEN {
            LEN
        } else {
            hop
        };
        Self { samples: [0; LEN], filled: 0, hop }
    }

    /// Forgets all samples.
    pub fn reset(&mut self) {
        self.filled = 0;
    }

    /// Takes any number of samples and gives each frame that they complete to `on_frame`, oldest sample first.
    pub fn feed(&mut self, samples: &[i16], mut on_frame: impl FnMut(&[i16; LEN])) {
        let mut rest = samples;
        while !rest.is_empty() {
            let room = self.samples.get_mut(self.filled..).unwrap_or_default();
            let (now, later) = rest.split_at_checked(room.len()).unwrap_or((rest, &[]));
            room.iter_mut().zip(now).for_each(|(to, &from)| *to = from);
            self.filled = self.filled.saturating_add(now.len());
            rest = later;
            if self.filled >= LEN {
                on_frame(&self.samples);
                self.filled = LEN.saturating_sub(self.hop);
                // `hop ≤ LEN`: the tail moves to the front.
                if self.hop <= LEN {
                    self.samples.copy_within(self.hop.., 0);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn frames_do_not_depend_on_how_samples_come(
            samples in proptest::collection::vec(any::<i16>(), 0..200),
            hop in 1_usize..=8,
            cuts in proptest::collection::vec(0_usize..200, 0..10),
        ) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(samples.len())).chain([0, samples.len()]).collect();
            cuts.sort_unstable();
            let mut framer = Framer::<8>::new(hop);
            let mut frames = Vec::new();
            for pair in cuts.windows(2) {
                framer.feed(&samples[pair[0]..pair[1]], |frame| frames.push(frame.to_vec()));
            }
            let expected: Vec<_> = samples.windows(8).step_by(hop).map(<[i16]>::to_vec).collect();
            prop_assert_eq!(frames, expected);
        }
    }
}
