//! Every variant against the reference, bit for bit; the reference against float.

use std::{vec, vec::Vec};

use super::*;
use crate::kernels::testing::Random;

fn random_case(seed: u64) -> (Softmax, Vec<i8>) {
    let random = &mut Random(seed);
    let row_len = random.range(1..50) as usize;
    let bits = random.range(20..33);
    let multiplier = random.range(1..1 << bits) as u32;
    let rows = random.range(1..4) as usize;
    (Softmax { row_len, multiplier }, random.i8s(rows * row_len))
}

#[test]
#[allow(clippy::float_arithmetic)]
fn the_reference_is_within_its_error_bound() {
    for seed in 0..3_000 {
        let (p, x) = random_case(seed);
        let mut out = vec![0; x.len()];
        reference::softmax_s8(&p, &x, &mut out).unwrap();
        let scale = f64::from(p.multiplier) / f64::from(1 << 26);
        for (row, out) in x.chunks(p.row_len).zip(out.chunks(p.row_len)) {
            let (error, at_one) = worst_errors(row, scale, out);
            assert!(error <= 0.5 + 1e-4 && at_one <= 1.0 + 1e-6, "seed {seed}: {error}, {at_one}");
        }
    }
}

#[test]
#[allow(clippy::float_arithmetic)]
fn long_rows_and_rounded_scales_are_within_the_error_bound() {
    for (seed, scale) in (0..).zip([1e-9, 3.1e-6, 4.7e-3, 0.043, 0.17, 1.3, 63.0]) {
        let p = Softmax { row_len: 65_535, multiplier: (scale * f64::from(1 << 26)).round().max(1.0) as u32 };
        // A row like any, and one with a single largest element.
        let mut x = Random(seed).i8s(2 * p.row_len);
        x[p.row_len..].fill(-128);
        x[p.row_len + 7] = 127;
        let mut out = vec![0; x.len()];
        reference::softmax_s8(&p, &x, &mut out).unwrap();
        for (row, out) in x.chunks(p.row_len).zip(out.chunks(p.row_len)) {
            let (error, at_one) = worst_errors(row, scale, out);
            assert!(error <= 0.5 + 1.0 / 16.0 && at_one <= 1.0 + 1e-6, "scale {scale}: {error}, {at_one}");
        }
    }
}

/// Largest errors against float, in steps of 1/256: of results below 127, and of 127.
#[allow(clippy::float_arithmetic)]
fn worst_errors(row: &[i8], scale: f64, out: &[i8]) -> (f64, f64) {
    let max = f64::from(*row.iter().max().unwrap());
    let exponentials: Vec<f64> = row.iter().map(|&x| ((f64::from(x) - max) * scale).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    let error = |(&q, e): (&i8, &f64)| (q, (f64::from(q) + 128.0 - 256.0 * e / sum).abs());
    let worst = |one: bool| {
        let errors = out.iter().zip(&exponentials).map(error).filter(|&(q, _)| (q == 127) == one);
        errors.fold(0.0, |worst, (_, e)| f64::max(worst, e))
    };
    (worst(false), worst(true))
}

macro_rules! kernel_tests {
    ($variant:ident) => {
        mod $variant {
            use super::*;

            #[test]
            fn softmax_gives_the_bits_of_the_reference() {
                for seed in 0..3_000 {
                    let (p, x) = random_case(seed);
                    let (mut expected, mut found) = (vec![0; x.len()], vec![1; x.len()]);
                    let mut scratch = vec![5; super::super::$variant::softmax_s8_scratch_len(&p).unwrap() / 4];
                    reference::softmax_s8(&p, &x, &mut expected).unwrap();
                    super::super::$variant::softmax_s8(&p, &x, &mut found, &mut scratch).unwrap();
                    assert_eq!(expected, found, "seed {seed}: {p:?}");
                }
            }

            #[test]
            fn slices_of_wrong_size_do_not_panic() {
                let p = Softmax { row_len: 4, multiplier: 1 << 20 };
                for len in 0..9 {
                    let x = Random(1).i8s(len);
                    super::super::$variant::softmax_s8(&p, &x, &mut vec![0; 8 - len.min(8)], &mut vec![0; len]);
                }
            }
        }
    };
}

kernel_tests!(portable);
