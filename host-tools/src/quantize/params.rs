//! Real numbers as quantization parameters and fixed-point factors.

use teff::fixed::{MAX_SHIFT, MIN_SHIFT, Multiplier};
use teff::format::DataType;

use crate::ir::Kind;

/// An integer type, and what its values stand for: `real = scale · (q − zero_point)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantParams {
    /// The type.
    pub data_type: DataType,
    /// Real value of one step, positive.
    pub scale: f32,
    /// The quantized value that stands for 0; in int16 always 0.
    pub zero_point: i32,
}

impl QuantParams {
    /// int8 with this scale and zero point.
    pub const fn int8(scale: f32, zero_point: i32) -> Self {
        Self { data_type: DataType::I8, scale, zero_point }
    }

    /// Plain integers of this type: indices, truth values, factors.
    pub const fn plain(data_type: DataType) -> Self {
        Self { data_type, scale: 1.0, zero_point: 0 }
    }

    /// What stands for itself: indices as int32, truth values as int8; for real numbers int8 without a meaning yet.
    pub const fn of_kind(kind: Kind) -> Self {
        match kind {
            Kind::Index => Self::plain(DataType::I32),
            Kind::Truth | Kind::Real => Self::plain(DataType::I8),
        }
    }

    /// `[0, 1)` over all of an activation type, int8 or int16: softmax, sigmoid.
    pub fn unit(data_type: DataType) -> Self {
        match data_type {
            DataType::I16 => Self { data_type, scale: 1.0 / 32_768.0, zero_point: 0 },
            _ => Self { data_type, scale: 1.0 / 256.0, zero_point: -128 },
        }
    }

    /// `[-1, 1)` over all of an activation type, int8 or int16: tanh.
    pub fn signed_unit(data_type: DataType) -> Self {
        let scale = if data_type == DataType::I16 { 1.0 / 32_768.0 } else { 1.0 / 128.0 };
        Self { data_type, scale, zero_point: 0 }
    }

    /// An activation type over `[min, max]`: int16 and int32 as [`QuantParams::symmetric`], any other as int8, asymmetric and
    /// widened to hold 0, which is exact.
    pub fn over(data_type: DataType, min: f32, max: f32) -> Self {
        match data_type {
            DataType::I16 | DataType::I32 => Self::symmetric(data_type, min.abs().max(max.abs())),
            _ => Self::from_range(min, max),
        }
    }

    /// Asymmetric int8 over `[min, max]`, widened to hold 0, which is exact.
    pub fn from_range(min: f32, max: f32) -> Self {
        let (min, max) = (f64::from(min.min(0.0)), f64::from(max.max(0.0)));
        let scale = ((max - min) / 255.0) as f32;
        if !(scale.is_normal() && scale.is_finite()) {
            return Self::plain(DataType::I8);
        }
        let zero_point = (-128.0 - min / f64::from(scale)).round().clamp(-128.0, 127.0) as i32;
        Self::int8(scale, zero_point)
    }

    /// An activation type over `[-max, max]`, symmetric: int16 from −32767 to 32767, int32 from −2^30 to
    /// 2^30, which leaves it as much again, any other as int8 from −127 to 127.
    pub fn symmetric(data_type: DataType, max: f32) -> Self {
        let (data_type, steps) = match data_type {
            DataType::I16 => (DataType::I16, 32_767.0),
            DataType::I32 => (DataType::I32, (1 << 30) as f32),
            _ => (DataType::I8, 127.0),
        };
        let scale = max.abs() / steps;
        Self { data_type, scale: if scale.is_normal() { scale } else { 1.0 }, zero_point: 0 }
    }

    /// int16 that holds every value of these int8 parameters exactly: steps are a 128th as large.
    pub fn widened(&self) -> Self {
        // |q − zero_point| ≤ 255, and 255 · 128 < 2^15.
        Self { data_type: DataType::I16, scale: self.scale / 128.0, zero_point: 0 }
    }

    /// int32 that holds every value of these int16 parameters exactly: steps are 2^-14 as large.
    pub fn widened_to_32(&self) -> Self {
        Self { data_type: DataType::I32, scale: self.scale / 16_384.0, zero_point: 0 }
    }

    /// The value next to `real`, saturated; halves away from zero.
    pub fn quantize(&self, real: f32) -> i32 {
        let q = (f64::from(real) / f64::from(self.scale)).round() + f64::from(self.zero_point);
        let (min, max) = self.data_type.range();
        q.clamp(min.into(), max.into()) as i32
    }

    /// The elements next to `reals`, as a file holds them.
    pub fn quantized<'r>(&self, reals: impl IntoIterator<Item = &'r f32>) -> Vec<u8> {
        // The low bytes of a number in the type's range are the element.
        let element = |&real: &f32| self.quantize(real).to_le_bytes().into_iter().take(self.data_type.size());
        reals.into_iter().flat_map(element).collect()
    }

    /// The real number that `q` stands for.
    pub fn dequantize(&self, q: i32) -> f32 {
        (q - self.zero_point) as f32 * self.scale
    }

    /// The real number that stands for `real` on the device.
    pub fn round(&self, real: f32) -> f32 {
        self.dequantize(self.quantize(real))
    }

    /// The smallest and largest real numbers that the type holds.
    pub fn range(&self) -> (f32, f32) {
        let (min, max) = self.data_type.range();
        (self.dequantize(min), self.dequantize(max))
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
            // What int8 holds, its widened form holds exactly.
            let wide = q.widened();
            for v in -128..128 {
                let real = q.dequantize(v);
                assert_eq!(wide.dequantize(wide.quantize(real)), real);
            }
        }
        let wide = QuantParams::over(DataType::I16, -0.5, 2.0);
        assert_eq!([2.0, -2.0, 0.0, 9.0].map(|v| wide.quantize(v)), [32_767, -32_767, 0, 32_767]);
        assert_eq!(wide.quantized(&[2.0, -2.0]), [0xFF, 0x7F, 0x01, 0x80]);
        assert_eq!(QuantParams::unit(DataType::I16).quantize(0.5), 1 << 14);
        let image = QuantParams::from_range(0.0, 1.0);
        assert!((0..256).all(|v| image.quantize(v as f32 / 255.0) == v - 128));
    }
}
