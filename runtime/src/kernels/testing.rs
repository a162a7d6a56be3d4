//! What the kernel tests share: reproducible data, and requantization parameters over their whole range.

use std::vec::Vec;

use super::{Output, PerChannel};
use crate::fixed::{MAX_SHIFT, MIN_MULTIPLIER, MIN_SHIFT, Multiplier};

/// A small deterministic generator (SplitMix64), so that a failing case can be named by its seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `range`.
    pub(crate) fn range(&mut self, range: std::ops::Range<i64>) -> i64 {
        range.start + (self.next() % (range.end - range.start) as u64) as i64
    }

    /// int8 values, one in eight at an end of the range.
    pub(crate) fn i8s(&mut self, len: usize) -> Vec<i8> {
        let value = |r: u64| match r % 16 {
            0 => i8::MIN,
            1 => i8::MAX,
            _ => (r >> 8) as i8,
        };
        (0..len).map(|_| value(self.next())).collect()
    }
}

/// The multiplier next to a positive real factor below 2^30: relative error at most 2^-31.
#[allow(clippy::float_arithmetic)]
pub(crate) fn multiplier(factor: f64) -> Multiplier {
    let shift = |shift: u8| (shift, (factor * f64::from(shift).exp2()).round());
    let normal = |&(_, mult): &(u8, f64)| (f64::from(MIN_MULTIPLIER)..f64::from(i32::MAX)).contains(&mult);
    let (shift, mult) = (MIN_SHIFT..=MAX_SHIFT).map(shift).find(normal).expect("a factor in range");
    Multiplier { mult: mult as i32, shift }
}

/// What [`Output::finish`] rounds: the real result in steps of the output, clamped.
#[allow(clippy::float_arithmetic)]
pub(crate) fn real_result(acc: f64, factor: f64, output: &Output) -> f64 {
    (f64::from(output.zero_point) + acc * factor).clamp(output.min.into(), output.max.into())
}

/// Largest error of a result that was rounded once, in steps: ½, and the error of the factor on results below 2^8.
pub(crate) const ROUNDED_ONCE: f64 = 0.5 + 1.0 / (1 << 23) as f64;

/// Owned [`PerChannel`] parameters.
pub(crate) struct Requant {
    pub(crate) bias: Vec<i32>,
    pub(crate) mult: Vec<i32>,
    pub(crate) shift: Vec<u8>,
    pub(crate) output: Output,
}

impl Requant {
    /// Factors such that sums of `depth` products fill int8, some of them far too large, so that results saturate.
    pub(crate) fn random(random: &mut Random, channels: usize, depth: usize) -> Self {
        let bits = 14 + usize::BITS - depth.leading_zeros();
        let shift = |r: &mut Random| (i64::from(bits) + r.range(18..26)).clamp(1, i64::from(MAX_SHIFT)) as u8;
        let (a, b) = (random.i8s(1)[0], random.i8s(1)[0]);
        Self {
            bias: (0..channels).map(|_| random.range(-(1 << 20)..1 << 20) as i32).collect(),
            mult: (0..channels).map(|_| random.range(i64::from(MIN_MULTIPLIER)..1 << 31) as i32).collect(),
            shift: (0..channels).map(|_| shift(random)).collect(),
            output: Output { zero_point: random.range(-128..128) as i32, min: a.min(b), max: a.max(b) },
        }
    }

    pub(crate) fn view(&self) -> PerChannel<'_> {
        PerChannel { bias: &self.bias, mult: &self.mult, shift: &self.shift, output: self.output }
    }
}
