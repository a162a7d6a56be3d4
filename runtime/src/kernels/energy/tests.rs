//! Every variant against the reference, bit for bit, and the results against real arithmetic.
#![allow(clippy::float_arithmetic)]

use std::{vec, vec::Vec};

use super::*;
use crate::kernels::Element;
use crate::kernels::testing::{Random, multiplier, real_result};

fn values<E: Element>(random: &mut Random, len: usize) -> Vec<E> {
    (0..len).map(|_| E::saturate(random.range(-40_000..40_000) as i32 >> random.range(0..16))).collect()
}

fn output<E: Element>(random: &mut Random) -> (i32, Output<E>) {
    let zero = |r: &mut Random| if size_of::<E>() == 1 { r.range(-128..128) as i32 } else { 0 };
    (zero(random), Output { zero_point: zero(random), min: E::MIN, max: E::MAX })
}

fn squares<E: Element>(kernel: impl Fn(&ReduceSquare<E>, &[E], &mut [E], &mut [i64]) -> Option<()>) {
    for seed in 0..2_000 {
        let random = &mut Random(seed);
        let shape: Vec<u32> = (0..random.range(0..6)).map(|_| random.range(1..5) as u32).collect();
        let axes = random.range(0..1 << shape.len()) as u32;
        let root = random.range(0..2) == 0;
        let (zero_point, output) = output::<E>(random);
        let factor = (random.range(1..1000) as f64) / if root { 1e3 } else { 1e6 };
        let p = ReduceSquare { shape: &shape, axes, zero_point, root, multiplier: multiplier(factor), output };
        let kept = (0..shape.len()).filter(|&axis| !p.reduces(axis)).map(|axis| shape[axis] as usize);
        let x = values::<E>(random, shape.iter().product::<u32>() as usize);
        let mut expected = vec![E::default(); kept.product()];
        let (mut found, mut sums) = (expected.clone(), vec![9; expected.len()]);
        reference::reduce_square(&p, &x, &mut expected).unwrap();
        kernel(&p, &x, &mut found, &mut sums).unwrap();
        assert_eq!(expected, found, "seed {seed}: {p:?}");
        if axes.count_ones() as usize == shape.len() {
            let sum: f64 = x.iter().map(|x| f64::from(x.widen() - zero_point).powi(2)).sum();
            let (value, slack) = if root { (sum.sqrt() * 128.0, factor) } else { (sum, 0.0) };
            let real = real_result(value, factor, &output);
            assert!((f64::from(found[0].widen()) - real).abs() <= 0.501 + slack, "seed {seed}: {p:?} {real}");
        }
    }
}

fn log_sums<E: Element>(kernel: impl Fn(&LogSumExp<E>, &[E], &mut [E]) -> Option<()>) {
    for seed in 0..1_000 {
        let random = &mut Random(seed);
        let (rows, row_len) = (random.range(1..4) as usize, random.range(1..40) as usize);
        let (zero_point, output) = output::<E>(random);
        let scale = (random.range(1..4000) as f64) / 1000.0 / f64::from(E::MAX.widen());
        let exp_shift = 10;
        let exp_mult = (scale * f64::from(1_u32 << 26) * 1024.0).round() as u32;
        let step = 8.0 / f64::from(E::MAX.widen());
        let factor = 1.0 / f64::from(1 << 26) / step;
        let p = LogSumExp { row_len, zero_point, exp_mult, exp_shift, multiplier: multiplier(factor), output };
        let x = values::<E>(random, rows * row_len);
        let (mut expected, mut found) = (vec![E::default(); rows], vec![E::default(); rows]);
        reference::log_sum_exp(&p, &x, &mut expected).unwrap();
        kernel(&p, &x, &mut found).unwrap();
        assert_eq!(expected, found, "seed {seed}: {p:?}");
        assert!(kernel(&p, &x[1..], &mut found).is_none());
        for (row, y) in x.chunks(row_len).zip(&found) {
            let sum: f64 = row.iter().map(|x| (f64::from(x.widen() - zero_point) * scale).exp()).sum();
            let real = real_result(sum.ln() * f64::from(1 << 26), factor, &output);
            assert!((f64::from(y.widen()) - real).abs() <= 0.52, "seed {seed}: {p:?}: {y:?} {real}");
        }
    }
}

macro_rules! kernel_tests {
    ($variant:ident) => {
        mod $variant {
            use super::super::$variant as variant;
            use super::*;

            #[test]
            fn sums_of_squares() {
                squares::<i8>(variant::reduce_square);
                squares::<i16>(variant::reduce_square);
            }

            #[test]
            fn logarithms_of_sums() {
                log_sums::<i8>(variant::log_sum_exp);
                log_sums::<i16>(variant::log_sum_exp);
            }
        }
    };
}

kernel_tests!(portable);
