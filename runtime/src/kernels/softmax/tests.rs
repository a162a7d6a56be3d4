//! Every variant against the reference, bit for bit; the reference against float.

use std::{vec, vec::Vec};

use super::*;
use crate::kernels::Element;
use crate::kernels::testing::Random;

/// What the exponentials' errors add up to in rows of 65535, in steps of 1/32768.
const LONG_ROWS: f64 = 4.0;

fn random_case<E: Element>(seed: u64) -> (Softmax, Vec<E>) {
    let random = &mut Random(seed);
    let row_len = random.range(1..50) as usize;
    let bits = random.range(20..33);
    let multiplier = random.range(1..1 << bits) as u32;
    let rows = random.range(1..4) as usize;
    let shift = (random.range(0..9) + if E::UNIT_BITS > 8 { 8 } else { -8 }).max(0) as u8;
    (Softmax { row_len, multiplier, shift }, random.values(rows * row_len))
}

#[allow(clippy::float_arithmetic)]
fn the_reference_is_within_its_error_bound<E: Element>() {
    for seed in 0..3_000 {
        let (p, x) = random_case::<E>(seed);
        let mut out = vec![E::MIN; x.len()];
        reference::softmax(&p, &x, &mut out).unwrap();
        let scale = f64::from(p.multiplier) / f64::from(26 + p.shift).exp2();
        for (row, out) in x.chunks(p.row_len).zip(out.chunks(p.row_len)) {
            let (error, at_one) = worst_errors(row, scale, out);
            let slack = if E::UNIT_BITS > 8 { 0.01 } else { 1e-4 };
            assert!(error <= 0.5 + slack && at_one <= 1.0 + slack, "seed {seed}: {error}, {at_one}");
        }
    }
}

#[allow(clippy::float_arithmetic)]
fn long_rows_and_rounded_scales_are_within_the_error_bound<E: Element>() {
    let wide = E::UNIT_BITS > 8;
    for (seed, scale) in (0..).zip([1e-9, 3.1e-6, 4.7e-3, 0.043, 0.17, 1.3, 63.0]) {
        // As the converter chooses it.
        let shift = if wide { (5.0 - f64::log2(scale)).floor().clamp(0.0, 31.0) } else { 0.0 };
        let multiplier = (scale * (26.0 + shift).exp2()).round().clamp(1.0, f64::from(u32::MAX)) as u32;
        let p = Softmax { row_len: 65_535, multiplier, shift: shift as u8 };
        // A row like any, and one with a single largest element.
        let mut x = Random(seed).values::<E>(2 * p.row_len);
        x[p.row_len..].fill(E::MIN);
        x[p.row_len + 7] = E::MAX;
        let mut out = vec![E::MIN; x.len()];
        reference::softmax(&p, &x, &mut out).unwrap();
        for (row, out) in x.chunks(p.row_len).zip(out.chunks(p.row_len)) {
            let (error, at_one) = worst_errors(row, scale, out);
            let slack = if wide { [LONG_ROWS, LONG_ROWS] } else { [1.0 / 16.0, 1e-6] };
            assert!(error <= 0.5 + slack[0] && at_one <= 1.0 + slack[1], "scale {scale}: {error}, {at_one}");
        }
    }
}

/// Largest errors against float, in steps of the output: of results below the largest, and of the largest.
#[allow(clippy::float_arithmetic)]
fn worst_errors<E: Element>(row: &[E], scale: f64, out: &[E]) -> (f64, f64) {
    let max = f64::from(row.iter().max().unwrap().widen());
    let exponentials: Vec<f64> = row.iter().map(|&x| ((f64::from(x.widen()) - max) * scale).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    let steps = f64::from(E::UNIT_BITS).exp2();
    let error = |(&q, e): (&E, &f64)| (q, (f64::from(q.widen() - E::UNIT_ZERO) - steps * e / sum).abs());
    let worst = |one: bool| {
        let errors = out.iter().zip(&exponentials).map(error).filter(|&(q, _)| (q == E::MAX) == one);
        errors.fold(0.0, |worst, (_, e)| f64::max(worst, e))
    };
    (worst(false), worst(true))
}

macro_rules! kernel_tests {
    ($name:ident: $variant:ident of $element:ty) => {
        mod $name {
            use super::*;

            #[test]
            fn the_reference_is_within_its_error_bound() {
                super::the_reference_is_within_its_error_bound::<$element>();
            }

            #[test]
            fn long_rows_and_rounded_scales_are_within_the_error_bound() {
                super::long_rows_and_rounded_scales_are_within_the_error_bound::<$element>();
            }

            #[test]
            fn softmax_gives_the_bits_of_the_reference() {
                for seed in 0..3_000 {
                    let (p, x) = random_case::<$element>(seed);
                    let (mut expected, mut found) = (vec![0; x.len()], vec![1; x.len()]);
                    let mut scratch = vec![5; super::super::$variant::softmax_scratch_len(&p).unwrap() / 4];
                    reference::softmax(&p, &x, &mut expected).unwrap();
                    super::super::$variant::softmax(&p, &x, &mut found, &mut scratch).unwrap();
                    assert_eq!(expected, found, "seed {seed}: {p:?}");
                }
            }

            #[test]
            fn slices_of_wrong_size_do_not_panic() {
                let p = Softmax { row_len: 4, multiplier: 1 << 20, shift: 0 };
                for len in 0..9 {
                    let x = Random(1).values::<$element>(len);
                    super::super::$variant::softmax(&p, &x, &mut vec![0; 8 - len.min(8)], &mut vec![0; len]);
                }
            }
        }
    };
}

kernel_tests!(portable_s8: portable of i8);
kernel_tests!(portable_s16: portable of i16);
