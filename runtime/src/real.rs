//! Real numbers at the edge of a model: quantizing inputs, reading outputs, ranking classes.
//!
//! Application code uses this; no kernel does. The arithmetic is plain `f32` without the platform's math library
//! ([`micromath`]), so it too gives the same bits everywhere.

use heapless::Vec;
use micromath::F32Ext;

use crate::format::Tensor;

impl Tensor<'_> {
    /// The int8 value next to `real`: `sat8(round(real / scale) + zero_point)`, halves away from zero; NaN gives the
    /// zero point.
    pub fn quantize_i8(&self, real: f32) -> i8 {
        let limited = (real / self.scale).clamp(-1024.0, 1024.0);
        // |limited| ≤ 1024 and |zero_point| ≤ 128 for an int8 tensor: nothing overflows.
        crate::fixed::sat8((F32Ext::round(limited) as i32).saturating_add(self.zero_point))
    }

    /// The real number that `q` stands for: `scale · (q − zero_point)`.
    pub fn dequantize_i8(&self, q: i8) -> f32 {
        i32::from(q).saturating_sub(self.zero_point) as f32 * self.scale
    }
}

/// An element of an output and its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ranked {
    /// Index in the output.
    pub index: usize,
    /// Its value.
    pub score: i8,
}

/// The `K` largest scores, largest first; of equal ones the one with the smaller index comes first.
pub fn top_k<const K: usize>(scores: &[i8]) -> Vec<Ranked, K> {
    let mut top: Vec<Ranked, K> = Vec::new();
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
        let storage = Storage::Constant;
        Tensor { data_type: DataType::I8, shape: &[], zero_point, scale, storage, offset: 0, len: 1, first: 0, last: 0 }
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
    fn ranks_are_stable() {
        let ranked = |scores: &[i8]| top_k::<3>(scores).iter().map(|r| r.index).collect::<List<_>>();
        assert_eq!(ranked(&[1, 5, 5, -3, 7]), [4, 1, 2]);
        assert_eq!(ranked(&[2]), [0]);
        assert!(top_k::<0>(&[1, 2]).is_empty());
        assert_eq!(ranked(&[]), []);
    }
}
