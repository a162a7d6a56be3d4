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
            let max = f64::from(*row.iter().max().unwrap());
            let exponentials: Vec<f64> = row.iter().map(|&x| ((f64::from(x) - max) * scale).exp()).collect();
            let sum: f64 = exponentials.iter().sum();
            for (&q, e) in out.iter().zip(&exponentials) {
                let error = f64::from(q) + 128.0 - 256.0 * e / sum;
                assert!(error.abs() <= 1.0 + 1e-6, "seed {seed}: {error}");
                assert!(error.abs() <= 0.5 + 1e-4 || q == 127, "seed {seed}: {error}");
            }
        }
    }
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
