//! Real numbers at the edge of a model: quantizing inputs, reading outputs, ranking classes.
//!
//! Application code uses this; no kernel does. The arithmetic is plain `f32` without the platform's math library
//! ([`micromath`]), so it too gives the same bits everywhere.

use heapless::Vec;
use micromath::F32Ext;

use crate::fixed::{sat8, sat16};
use crate::format::{DataType, Tensor};

/// Largest float below 2^31.
const MAX_I32: f32 = 2_147_483_520.0;

impl Tensor<'_> {
    /// The value of the tensor's type next to `real`: `saturate(round(real / scale) + zero_point)`, halves away from
    /// zero; NaN gives the zero point.
    pub fn quantize(&self, real: f32) -> i32 {
        let limited = (real / self.scale).clamp(-MAX_I32, MAX_I32);
        // Whole numbers above 2^23 have no fraction to round.
        let rounded = if limited.abs() < 8_388_608.0 { F32Ext::round(limited) } else { limited };
        let (min, max) = self.data_type.range();
        (rounded as i32).saturating_add(self.zero_point).max(min).min(max)
    }

    /// The real number that `q` stands for: `scale · (q − zero_point)`.
    pub fn dequantize(&self, q: i32) -> f32 {
        q.saturating_sub(self.zero_point) as f32 * self.scale
    }

    /// [`Tensor::quantize`], saturated to int8.
    pub fn quantize_i8(&self, real: f32) -> i8 {
        sat8(self.quantize(real))
    }

    /// [`Tensor::dequantize`] of an int8 value.
    pub fn dequantize_i8(&self, q: i8) -> f32 {
        self.dequantize(q.into())
    }

    /// [`Tensor::quantize`], saturated to int16.
    pub fn quantize_i16(&self, real: f32) -> i16 {
        sat16(self.quantize(real))
    }

    /// [`Tensor::dequantize`] of an int16 value.
    pub fn dequantize_i16(&self, q: i16) -> f32 {
        self.dequantize(q.into())
    }

    /// Writes `reals`, quantized, as elements of the tensor's type: into the bytes of an input, say.
    ///
    /// Returns whether there were as many of them as elements.
    pub fn write_reals(&self, bytes: &mut [u8], reals: impl IntoIterator<Item = f32>) -> bool {
        let mut reals = reals.into_iter();
        for element in bytes.chunks_exact_mut(self.data_type.size()) {
            let Some(real) = reals.next() else { return false };
            // The low bytes of a number in the type's range are the element.
            element.iter_mut().zip(self.quantize(real).to_le_bytes()).for_each(|(to, from)| *to = from);
        }
        reals.next().is_none()
    }

    /// The numbers that elements of the tensor's type are: the bytes of an output, say.
    pub fn read_integers<'b>(&self, bytes: &'b [u8]) -> impl ExactSizeIterator<Item = i32> + use<'b> {
        let data_type = self.data_type;
        bytes.chunks_exact(data_type.size()).map(move |element| integer(data_type, element))
    }

    /// The real numbers that elements of the tensor's type stand for: the bytes of an output, say.
    pub fn read_reals<'b>(&self, bytes: &'b [u8]) -> impl ExactSizeIterator<Item = f32> + use<'_, 'b> {
        self.read_integers(bytes).map(|q| self.dequantize(q))
    }
}

/// The little-endian element as a number; 0 if it is too short.
fn integer(data_type: DataType, element: &[u8]) -> i32 {
    match (data_type, element) {
        (DataType::I8, &[a]) => i8::from_le_bytes([a]).into(),
        (DataType::U8, &[a]) => a.into(),
        (DataType::I16, &[a, b]) => i16::from_le_bytes([a, b]).into(),
        (DataType::I32, &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]),
        _ => 0,
    }
}

/// An element of an output and its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ranked<T> {
    /// Index in the output.
    pub index: usize,
    /// Its value.
    pub score: T,
}

/// The `K` largest scores, largest first; of equal ones the one with the smaller index comes first.
pub fn top_k<const K: usize, T: Copy + Ord>(scores: &[T]) -> Vec<Ranked<T>, K> {
    let mut top: Vec<Ranked<T>, K> = Vec::new();
    for (index, &score) in scores.iter().enumerate() {
        let rank = top.iter().take_while(|other| other.score >= score).count();
        if rank >= K {
            continue;
        }
        if top.is_full() {
            top.pop();
        }
        // There is room for one more and rank ≤ len: this cannot fail.
        let _ = top.insert(rank, Ranked { index, score });
    }
    top
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{DataType, Storage};
    use std::vec::Vec as List;

    fn tensor(scale: f32, zero_point: i32) -> Tensor<'static> {
        typed(DataType::I8, scale, zero_point)
    }

    fn typed(data_type: DataType, scale: f32, zero_point: i32) -> Tensor<'static> {
        let storage = Storage::Constant;
        Tensor { data_type, shape: &[], zero_point, scale, storage, offset: 0, len: 1, first: 0, last: 0 }
    }

    #[test]
    fn pixels_are_exact() {
        let t = tensor(1.0 / 255.0, -128);
        for pixel in 0..=255_u8 {
            assert_eq!(i32::from(t.quantize_i8(f32::from(pixel) / 255.0)), i32::from(pixel) - 128);
        }
    }

    #[test]
    fn values_saturate_and_round_away_from_zero() {
        let t = tensor(0.5, 3);
        assert_eq!([1e30, -1e30, f32::INFINITY, f32::NAN].map(|x| t.quantize_i8(x)), [127, -128, 127, 3]);
        assert_eq!([0.25, -0.25, 0.24].map(|x| t.quantize_i8(x)), [4, 2, 3]);
        assert_eq!(t.dequantize_i8(-128), -65.5);
    }

    #[test]
    fn every_type_is_written_and_read() {
        let reals = [0.0, 1.5, -1.5, 1e30, -1e30, 3_000.25];
        let expected: [(DataType, [f32; 6]); 4] = [
            (DataType::I8, [0.0, 1.5, -1.5, 63.5, -64.0, 63.5]),
            (DataType::U8, [0.0, 1.5, 0.0, 127.5, 0.0, 127.5]),
            (DataType::I16, [0.0, 1.5, -1.5, 16_383.5, -16_384.0, 3_000.5]),
            (DataType::I32, [0.0, 1.5, -1.5, 1_073_741_760.0, -1_073_741_760.0, 3_000.5]),
        ];
        for (data_type, expected) in expected {
            let t = typed(data_type, 0.5, 0);
            let mut bytes = std::vec![0xAA; 6 * data_type.size()];
            assert!(t.write_reals(&mut bytes, reals));
            assert_eq!(t.read_reals(&bytes).collect::<List<_>>(), expected, "{data_type:?}");
            assert!(!t.write_reals(&mut bytes, reals.into_iter().skip(1)));
            assert!(!t.write_reals(&mut bytes, reals.into_iter().chain([0.0])));
        }
        assert_eq!(typed(DataType::I32, 1.0, 0).quantize(16_777_216.0), 1 << 24);
        assert_eq!(typed(DataType::I32, 1.0, 0).quantize(8_388_609.0), 8_388_609);
    }

    #[test]
    fn ranks_are_stable() {
        let ranked = |scores: &[i8]| top_k::<3, i8>(scores).iter().map(|r| r.index).collect::<List<_>>();
        assert_eq!(ranked(&[1, 5, 5, -3, 7]), [4, 1, 2]);
        assert_eq!(ranked(&[2]), [0]);
        assert!(top_k::<0, i8>(&[1, 2]).is_empty());
        assert_eq!(ranked(&[]), []);
    }
}
