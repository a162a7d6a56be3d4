//! What the kernel tests share: reproducible data, and requantization parameters over their whole range.

use std::vec::Vec;

use super::{DataType, Element, Output, PerChannel};
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

    /// int8 values, one in eight at an end of the range: weights, say.
    pub(crate) fn i8s(&mut self, len: usize) -> Vec<i8> {
        self.values(len)
    }

    /// Values of `E`, one in eight at an end of the range.
    pub(crate) fn values<E: Element>(&mut self, len: usize) -> Vec<E> {
        (0..len).map(|_| self.value()).collect()
    }

    /// A value of `E`, one in eight at an end of the range.
    pub(crate) fn value<E: Element>(&mut self) -> E {
        let r = self.next();
        match r % 16 {
            0 => E::MIN,
            1 => E::MAX,
            // Shifted so that an i8 takes the top 8 of 32 bits, an i16 the top 16.
            _ => E::saturate(((r >> 16) as i32) >> (32 - 8 * size_of::<E>())),
        }
    }

    /// A zero point that a tensor of `E` may have, half of them at an end of the range.
    pub(crate) fn zero_point<E: Element>(&mut self) -> i32 {
        let (min, max) = E::DATA_TYPE.range();
        let any = match self.range(0..4) {
            0 => min,
            1 => max,
            _ => self.range(min.into()..i64::from(max) + 1) as i32,
        };
        if E::DATA_TYPE.admits_zero_point(any) { any } else { 0 }
    }

    /// Zero point and ends.
    pub(crate) fn output<E: Element>(&mut self) -> Output<E> {
        let (a, b) = (self.value::<E>(), self.value::<E>());
        Output { zero_point: self.zero_point::<E>(), min: a.min(b), max: a.max(b) }
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
pub(crate) fn real_result<E: Element>(acc: f64, factor: f64, output: &Output<E>) -> f64 {
    (f64::from(output.zero_point) + acc * factor).clamp(output.min.widen().into(), output.max.widen().into())
}

/// Largest error of a result that was rounded once, in steps: ½, and the error of the factor on results below 2^8 or
/// 2^16.
#[allow(clippy::float_arithmetic)]
pub(crate) fn rounded_once<E: Element>() -> f64 {
    0.5 + (8.0 * size_of::<E>() as f64 - 31.0).exp2()
}

/// Owned [`PerChannel`] parameters.
pub(crate) struct Requant<E> {
    pub(crate) bias: Vec<i32>,
    pub(crate) mult: Vec<i32>,
    pub(crate) shift: Vec<u8>,
    pub(crate) output: Output<E>,
}

impl<E: Element> Requant<E> {
    /// Factors such that sums of `depth` products fill `E`, some of them far too large, so that results saturate.
    pub(crate) fn random(random: &mut Random, channels: usize, depth: usize) -> Self {
        let bits = 14 + usize::BITS - depth.leading_zeros();
        let shift = |r: &mut Random| (i64::from(bits) + r.range(18..26)).clamp(1, i64::from(MAX_SHIFT)) as u8;
        let mut requant = Self {
            bias: (0..channels).map(|_| random.range(-(1 << 20)..1 << 20) as i32).collect(),
            mult: (0..channels).map(|_| random.range(i64::from(MIN_MULTIPLIER)..1 << 31) as i32).collect(),
            shift: (0..channels).map(|_| shift(random)).collect(),
            output: random.output(),
        };
        // In one of four layers all channels are rounded as TensorFlow Lite does, in one of four some.
        let some = random.range(0..4);
        for (&mult, shift) in requant.mult.iter().zip(&mut requant.shift) {
            if E::DATA_TYPE == DataType::I8 && (some == 0 || (some == 1 && random.range(0..2) == 0)) {
                *shift = Multiplier { mult, shift: *shift }.as_tflite().shift;
            }
        }
        if some < 2 && random.range(0..2) == 0 {
            requant.output.min = E::saturate(requant.output.zero_point).min(requant.output.max);
        }
        requant
    }

    pub(crate) fn view(&self) -> PerChannel<'_, E> {
        PerChannel { bias: &self.bias, mult: &self.mult, shift: &self.shift, output: self.output }
    }
}
