//! The filter that lifts high frequencies of speech.

/// `y[n] = sat16(⌊x[n] − α·x[n−1] + ½⌋)`, with `x[−1] = 0`.
#[derive(Debug, Clone, Copy)]
pub struct PreEmphasis {
    alpha: i16,
    last: i16,
}

impl PreEmphasis {
    /// A filter with `alpha` in Q15: 31 785 is the usual 0.97.
    pub const fn new(alpha: i16) -> Self {
        Self { alpha, last: 0 }
    }

    /// The next sample.
    pub const fn apply(&mut self, x: i16) -> i16 {
        // Both terms are at most 2^30 in magnitude, and not both reach it: the sum fits in i32.
        let y = ((x as i32) << 15) - self.alpha as i32 * self.last as i32;
        self.last = x;
        let rounded = y.saturating_add(1 << 14) >> 15;
        if rounded > i16::MAX as i32 {
            i16::MAX
        } else if rounded < i16::MIN as i32 {
            i16::MIN
        } else {
            rounded as i16
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_saturate() {
        for alpha in [i16::MIN, -1, 0, i16::MAX] {
            for (first, second) in [(i16::MIN, i16::MAX), (i16::MAX, i16::MIN), (i16::MIN, i16::MIN)] {
                let mut filter = PreEmphasis::new(alpha);
                assert_eq!(filter.apply(first), first);
                let exact = (i64::from(second) * 32_768 - i64::from(alpha) * i64::from(first) + 16_384) >> 15;
                assert_eq!(i64::from(filter.apply(second)), exact.clamp(-32_768, 32_767), "{alpha} {first} {second}");
            }
        }
    }
}
