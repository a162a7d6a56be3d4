//! Real numbers as quantization parameters and fixed-point factors.

use teff::fixed::{MAX_SHIFT, MIN_SHIFT, Multiplier};

/// `real = scale · (q − zero_point)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantParams {
    /// Real value of one step, positive.
    pub scale: f32,
    /// The quantized value that stands for 0.
    pub zero_point: i32,
}

impl QuantParams {
    /// For tensors whose elements are plain integers.
    pub const NONE: Self = Self { scale: 1.0, zero_point: 0 };
    /// `[0, 1)` over all of int8: softmax, sigmoid.
    pub const UNIT: Self = Self { scale: 1.0 / 256.0, zero_point: -128 };
    /// `[-1, 1)` over all of int8: tanh.
    pub const SIGNED_UNIT: Self = Self { scale: 1.0 / 128.0, zero_point: 0 };

    /// Asymmetric int8 over `[min, max]`, widened to hold 0, which is exact.
    pub fn from_range(min: f32, max: f32) -> Self {
        let (min, max) = (f64::from(min.min(0.0)), f64::from(max.max(0.0)));
        let scale = ((max - min) / 255.0) as f32;
        if !(scale.is_normal() && scale.is_finite()) {
            return Self { scale: 1.0, zero_point: 0 };
        }
        let zero_point = (-128.0 - min / f64::from(scale)).round().clamp(-128.0, 127.0) as i32;
        Self { scale, zero_point }
    }

    /// Symmetric int8 over `[-max, max]`.
    pub fn symmetric(max: f32) -> Self {
        let scale = max.abs() / 127.0;
        Self { scale: if scale.is_normal() { scale } else { 1.0 }, zero_point: 0 }
    }

    /// The int8 value next to `real`, saturated; halves away from zero.
    pub fn quantize(&self, real: f32) -> i8 {
        let q = (f64::from(real) / f64::from(self.scale)).round() + f64::from(self.zero_point);
        q.clamp(-128.0, 127.0) as i8
    }

    /// The real number that `q` stands for.
    pub fn dequantize(&self, q: i8) -> f32 {
        (i32::from(q) - self.zero_point) as f32 * self.scale
    }

    /// The real number that stands for `real` on the device.
    pub fn round(&self, real: f32) -> f32 {
        self.dequantize(self.quantize(real))
    }

    /// The smallest and largest real numbers that int8 holds.
    pub fn range(&self) -> (f32, f32) {
        (self.dequantize(i8::MIN), self.dequantize(i8::MAX))
    }
}

/// `real` as `mult / 2^shift` with 31 significant bits; `None` if its absolute value is 2^30 or more.
///
/// A factor too small for the largest shift becomes 0: its products round to 0 anyway.
pub fn multiplier(real: f64) -> Option<Multiplier> {
    if !real.is_finite() {
        return None;
    }
    let zero = Multiplier { mult: 0, shift: MAX_SHIFT };
    if real == 0.0 {
        return Some(zero);
    }
    // real = fraction · 2^exponent with 0.5 ≤ |fraction| < 1
    let mut exponent = real.abs().log2().floor() as i32 + 1;
    let mut mult = (real * 2f64.powi(31 - exponent)).round();
    if mult.abs() >= 2f64.powi(31) {
        mult /= 2.0;
        exponent += 1;
    } else if mult.abs() < 2f64.powi(30) {
        mult *= 2.0;
        exponent -= 1;
    }
    let shift = 31 - exponent;
    if shift > i32::from(MAX_SHIFT) {
        return Some(zero);
    }
    let shift = u8::try_from(shift).ok().filter(|&s| s >= MIN_SHIFT)?;
    Some(Multiplier { mult: mult.round() as i32, shift })
}

#[cfg(test)]
mod tests {
    use super::*;
    use teff::fixed::requantize;

    #[test]
    fn multipliers_are_valid_and_near() {
        for i in 1..20_000 {
            let real = 1.37_f64.powi(i % 120 - 62) * (1.0 + f64::from(i) / 20_011.0);
            let Some(m) = multiplier(real) else {
                assert!(real >= 2f64.powi(30), "{real}");
                continue;
            };
            assert!(m.is_valid(), "{real} {m:?}");
            if m.mult != 0 {
                let back = f64::from(m.mult) / 2f64.powi(m.shift.into());
                assert!((back / real - 1.0).abs() < 2f64.powi(-30), "{real} {back}");
            }
        }
        assert_eq!(multiplier(0.5).map(|m| requantize(7, m)), Some(4));
        assert_eq!(multiplier(1.0).map(|m| requantize(-7, m)), Some(-7));
        assert_eq!(multiplier(1e-30).map(|m| requantize(i32::MAX, m)), Some(0));
        assert_eq!(multiplier(f64::NAN), None);
    }

    #[test]
    fn zero_is_exact() {
        for (min, max) in [(0.0, 1.0), (-1.0, 0.0), (-0.3, 2.7), (0.5, 1.0), (0.0, 0.0), (-5.0, -2.0)] {
            let q = QuantParams::from_range(min, max);
            assert_eq!(q.dequantize(q.quantize(0.0)), 0.0);
        }
        let image = QuantParams::from_range(0.0, 1.0);
        assert!((0..256).all(|v| i32::from(image.quantize(v as f32 / 255.0)) == v - 128));
    }
}
