//! Every variant against the reference, bit for bit; the reference against float.

#![allow(clippy::manual_is_multiple_of, clippy::manual_checked_ops, clippy::needless_range_loop)]

use std::{vec, vec::Vec};

use super::*;
use crate::kernels::testing::Random;

/// A case of RMSNorm or LayerNorm: parameters, wide rows, γ.
#[allow(clippy::float_arithmetic)]
fn norm_case(seed: u64) -> (RowNorm, Vec<i32>, Vec<i16>) {
    let random = &mut Random(seed);
    let len = random.range(1..80) as usize;
    let rows = random.range(1..4) as usize;
    let magnitude = random.range(1..32) as u32;
    let x = (0..rows * len).map(|_| (random.next() as i32) >> (32 - magnitude)).collect();
    let gamma = (0..len).map(|_| random.range(-32_767..32_768) as i16).collect();
    let bits = random.range(8..17) as u32;
    let root = crate::fixed::inverse_sqrt(len as u64);
    // √n = n · 1/√n, for a γ of 13 fraction bits: any significand of 31 bits will do here.
    let factor = Factor { mult: root.mult, shift: root.shift - 3 };
    let epsilon = (1e-5 * len as f64 * 4_294_967_296.0) as u32;
    (RowNorm { len, centred: seed % 2 == 1, epsilon, factor, bits }, x, gamma)
}

#[test]
#[allow(clippy::float_arithmetic)]
fn the_reference_is_within_its_error_bound() {
    for seed in 0..2_000 {
        let (p, x, gamma) = norm_case(seed);
        let mut out = vec![0; x.len() / p.len * (p.len + HEADER)];
        reference::row_norm(&p, &x, &gamma, &mut out, &mut vec![0; p.len]).unwrap();
        for (x, out) in x.chunks(p.len).zip(out.chunks(p.len + HEADER)) {
            let x: Vec<f64> = x.iter().map(|&x| f64::from(x) / 65_536.0).collect();
            let mean = if p.centred { x.iter().sum::<f64>() / p.len as f64 } else { 0.0 };
            let epsilon = f64::from(p.epsilon) / 4_294_967_296.0;
            let energy: f64 = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() + epsilon;
            let factor = f64::from(p.factor.mult) * f64::from(-p.factor.shift).exp2();
            let (scale, q) = split(out).unwrap();
            let step = f64::from(scale.mant) * f64::from(-scale.shift).exp2();
            let max = x.iter().fold(0.0, |m: f64, x| m.max((x - mean).abs()));
            for i in 0..p.len {
                let real = (x[i] - mean) / energy.max(1e-30).sqrt() * f64::from(gamma[i]) * factor;
                // The mean's rounding counts only where values are a few units.
                let input = (max / 16_384.0 + if p.centred { 1.0 / 65_536.0 } else { 0.0 }) / energy.max(1e-30).sqrt();
                let bound = 1.01 * step + input * 1.1 * f64::from(gamma[i]).abs() * factor;
                let found = f64::from(q[i]) * step;
                assert!((found - real).abs() <= bound, "seed {seed}, {i}: {found} for {real}, bound {bound}, {p:?}");
            }
        }
    }
}

#[test]
#[allow(clippy::float_arithmetic)]
fn quantized_rows_are_within_half_a_step() {
    for seed in 0..2_000 {
        let random = &mut Random(seed);
        let magnitude = random.range(1..33) as u32;
        let values: Vec<i32> = (0..50).map(|_| (random.next() as i32) >> (32 - magnitude)).collect();
        let bits = random.range(2..17) as u32;
        let mut row = vec![7; HEADER + 60];
        quantize(&values, WIDE_UNIT, bits, &mut row).unwrap();
        let (scale, q) = split(&row).unwrap();
        let step = f64::from(scale.mant) * f64::from(-scale.shift).exp2();
        let limit = (1 << (bits - 1)) - 1;
        for (&v, &q) in values.iter().zip(q) {
            let error = (f64::from(v) / 65_536.0 / step - f64::from(q)).abs();
            let bound = if i32::from(q).abs() == limit { 1.0 } else { 0.5 + 1.0 / 4_096.0 };
            assert!(error <= bound, "seed {seed}: {error}");
        }
        assert!(q[50..].iter().all(|&q| q == 0));
    }
}

macro_rules! kernel_tests {
    ($variant:ident) => {
        mod $variant {
            use super::*;

            #[test]
            fn norms_give_the_bits_of_the_reference() {
                for seed in 0..3_000 {
                    let (p, x, gamma) = norm_case(seed);
                    let mut expected = vec![0; x.len() / p.len * (p.len + HEADER)];
                    let mut found = expected.clone();
                    reference::row_norm(&p, &x, &gamma, &mut expected, &mut vec![0; p.len]).unwrap();
                    super::super::$variant::row_norm(&p, &x, &gamma, &mut found, &mut vec![0; p.len]).unwrap();
                    assert_eq!(expected, found, "seed {seed}: {p:?}");
                }
            }

            #[test]
            fn embeddings_and_argmax_give_the_bits_of_the_reference() {
                for seed in 0..500 {
                    let random = &mut Random(seed);
                    let [vocabulary, len] = [1..40, 1..30].map(|r| random.range(r) as usize);
                    let p = Embedding { vocabulary, len, shift: random.range(0..40) as u8 };
                    let w: Vec<u8> = random.i8s(vocabulary * len).iter().map(|&w| w as u8).collect();
                    let mult: Vec<i32> = (0..vocabulary).map(|_| random.range(1..1 << 27) as i32).collect();
                    let ids: Vec<i32> = (0..4).map(|_| random.range(0..vocabulary as i64) as i32).collect();
                    let (mut expected, mut found) = (vec![0; 4 * len], vec![0; 4 * len]);
                    reference::embedding(&p, &ids, &w, &mult, &mut expected).unwrap();
                    super::super::$variant::embedding(&p, &ids, &w, &mult, &mut found).unwrap();
                    assert_eq!(expected, found, "seed {seed}");
                    let (mut a, mut b) = ([0; 4], [0; 4]);
                    reference::argmax(len, &expected, &mut a).unwrap();
                    super::super::$variant::argmax(len, &expected, &mut b).unwrap();
                    assert_eq!(a, b, "seed {seed}");
                    for id in [-1, vocabulary as i32, i32::MIN, i32::MAX] {
                        let refused = super::super::$variant::embedding(&p, &[id], &w, &mult, &mut found);
                        assert!(refused.is_none());
                    }
                }
            }

            #[test]
            fn slices_of_wrong_size_do_not_panic() {
                let (p, x, gamma) = norm_case(4);
                for len in 0..x.len().min(16) {
                    super::super::$variant::row_norm(
                        &p,
                        &x[..len],
                        &gamma[..gamma.len().min(len)],
                        &mut vec![0; len],
                        &mut vec![0; len],
                    );
                    super::super::$variant::argmax(len, &x, &mut [0; 3]);
                    let p = Embedding { vocabulary: 9, len, shift: 3 };
                    super::super::$variant::embedding(&p, &[8, 3], &[1; 12], &[1; 4], &mut vec![0; len]);
                }
            }
        }
    };
}

kernel_tests!(portable);
