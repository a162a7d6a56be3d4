//! A histogram of the values of one activation, and the ranges chosen from it.

use super::Range;
use crate::quantize::QuantParams;

/// Bins over the whole range.
const BINS: usize = 2048;
/// How many cuts are tried on each side by [`Histogram::least_squared_error`].
const CUTS: usize = 48;

/// Counts of values between the smallest and the largest.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    range: Range,
    counts: Vec<u64>,
}

impl Histogram {
    pub(super) fn new(range: Range) -> Self {
        Self { range, counts: vec![0; BINS] }
    }

    fn width(&self) -> f64 {
        (f64::from(self.range.max) - f64::from(self.range.min)) / BINS as f64
    }

    fn centre(&self, bin: usize) -> f64 {
        f64::from(self.range.min) + (bin as f64 + 0.5) * self.width()
    }

    pub(super) fn add(&mut self, value: f32) {
        let width = self.width();
        let bin = if width > 0.0 { ((f64::from(value) - f64::from(self.range.min)) / width) as usize } else { 0 };
        self.counts[bin.min(BINS - 1)] += 1;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(a, b)| *a += b);
    }

    pub(super) fn range(&self) -> Range {
        self.range
    }

    /// The range that holds `percent` % of the values.
    pub(super) fn percentile(&self, percent: f64) -> Range {
        let total: u64 = self.counts.iter().sum();
        let cut = total as f64 * (100.0 - percent) / 200.0;
        let edge = |counts: &mut dyn Iterator<Item = &u64>| {
            let mut below = 0.0;
            counts
                .take_while(|&&n| {
                    below += n as f64;
                    below <= cut
                })
                .count()
        };
        let low = edge(&mut self.counts.iter());
        let high = BINS - edge(&mut self.counts.iter().rev());
        self.between(low, high.max(low + 1))
    }

    /// From the lower edge of bin `low` to the lower edge of bin `high`.
    fn between(&self, low: usize, high: usize) -> Range {
        let edge = |bin: usize| (f64::from(self.range.min) + bin as f64 * self.width()) as f32;
        Range {
            min: if low == 0 { self.range.min } else { edge(low) },
            max: if high == BINS { self.range.max } else { edge(high) },
        }
    }

    /// The range whose int8 quantization has the least squared error over the values.
    pub(super) fn least_squared_error(&self) -> Range {
        // Bins below 0 are cut from the left, bins above 0 from the right; 0 itself is always in the range.
        let zero = self.counts.len().min((0..BINS).find(|&b| self.centre(b) >= 0.0).unwrap_or(BINS));
        let step_low = zero.div_ceil(CUTS).max(1);
        let step_high = (BINS - zero).div_ceil(CUTS).max(1);
        let lows: Vec<usize> = (0..=zero * 3 / 4).step_by(step_low).collect();
        let highs: Vec<usize> = (zero + (BINS - zero) / 4..=BINS).rev().step_by(step_high).collect();
        let mut best = (self.squared_error(self.range), self.range);
        // Coordinate descent: the two ends hardly interact.
        let mut low = 0;
        for _ in 0..2 {
            for &high in &highs {
                let range = self.between(low, high.max(low + 1));
                let error = self.squared_error(range);
                if error < best.0 {
                    best = (error, range);
                }
            }
            let high_value = best.1.max;
            for &candidate in &lows {
                let range = Range { min: self.between(candidate, BINS).min, max: high_value };
                let error = self.squared_error(range);
                if error < best.0 {
                    best = (error, range);
                    low = candidate;
                }
            }
        }
        best.1
    }

    fn squared_error(&self, range: Range) -> f64 {
        let q = QuantParams::from_range(range.min, range.max);
        let used = self.counts.iter().enumerate().filter(|(_, n)| **n > 0);
        used.map(|(bin, &n)| {
            let value = self.centre(bin);
            let (low, high) = q.range();
            let clipped = value.clamp(low.into(), high.into());
            // Inside the range the rounding error is uniform, scale²/12 on average; outside it is the distance.
            let rounding = f64::from(q.scale).powi(2) / 12.0;
            n as f64 * ((value - clipped).powi(2) + rounding)
        })
        .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(values: impl Iterator<Item = f32> + Clone) -> Histogram {
        let seed = Range { min: f32::INFINITY, max: f32::NEG_INFINITY };
        let range = values.clone().fold(seed, |r, v| Range { min: r.min.min(v), max: r.max.max(v) });
        let mut histogram = Histogram::new(range);
        values.for_each(|v| histogram.add(v));
        histogram
    }

    /// A triangle over [-1, 1] and one outlier at 20.
    fn with_outlier() -> Histogram {
        filled((0..10_000).map(|i| (i % 101) as f32 / 101.0 - (i % 103) as f32 / 103.0).chain([20.0]))
    }

    #[test]
    fn percentile_cuts_the_outlier() {
        let range = with_outlier().percentile(99.9);
        assert!(range.max < 1.2 && range.min < -0.8, "{range:?}");
        assert_eq!(with_outlier().percentile(100.0).max, 20.0);
    }

    #[test]
    fn least_error_weighs_the_outlier() {
        let range = with_outlier().least_squared_error();
        assert!(range.max < 20.0 && range.max > 0.9, "{range:?}");
        let even = filled((0..=1000).map(|i| i as f32 / 1000.0));
        assert_eq!(even.least_squared_error(), Range { min: 0.0, max: 1.0 });
    }

    #[test]
    fn a_constant_has_a_range() {
        let h = filled([3.0_f32; 4].into_iter());
        assert_eq!(h.percentile(99.0), Range { min: 3.0, max: 3.0 });
        assert_eq!(h.least_squared_error(), Range { min: 3.0, max: 3.0 });
    }
}
