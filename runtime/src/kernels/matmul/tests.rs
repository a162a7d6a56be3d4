//! Every variant against the reference, bit for bit.

use std::{vec, vec::Vec};

use super::*;
use crate::fixed::{MAX_SHIFT, MIN_MULTIPLIER};
use crate::kernels::Element;
use crate::kernels::testing::Random;

/// Values of `E` from wide random numbers.
fn values<E: Element>(random: &mut Random, len: usize) -> Vec<E> {
    (0..len).map(|_| E::saturate(random.range(-40_000..40_000) as i32 >> (random.range(0..10)))).collect()
}

fn parameters<E: Element>(random: &mut Random) -> MatMul<E> {
    let zero = |r: &mut Random| if size_of::<E>() == 1 { r.range(-128..128) as i32 } else { 0 };
    let mut size = || random.range(1..8) as usize;
    let (batches, rows, depth, columns) = (size(), size(), size() * size(), size());
    let shared = [random.range(0..3) == 0, random.range(0..3) == 0];
    let mult = random.range(i64::from(MIN_MULTIPLIER)..1 << 31) as i32;
    let shift = random.range(25..50).min(MAX_SHIFT.into()) as u8;
    let zero_points = [zero(random), zero(random)];
    let output = Output { zero_point: zero(random), min: E::MIN, max: E::saturate(random.range(0..40_000) as i32) };
    MatMul { batches, shared, rows, depth, columns, zero_points, multiplier: Multiplier { mult, shift }, output }
}

fn compare<E: Element>(kernel: impl Fn(&MatMul<E>, &[E], &[E], &mut [E]) -> Option<()>) {
    for seed in 0..2_000 {
        let random = &mut Random(seed);
        let p = parameters::<E>(random);
        let batches = |shared: bool| if shared { 1 } else { p.batches };
        let a = values::<E>(random, batches(p.shared[0]) * p.rows * p.depth);
        let b = values::<E>(random, batches(p.shared[1]) * p.columns * p.depth);
        let mut expected = vec![E::default(); p.batches * p.rows * p.columns];
        let mut found = expected.clone();
        reference::matmul(&p, &a, &b, &mut expected).unwrap();
        kernel(&p, &a, &b, &mut found).unwrap();
        assert_eq!(expected, found, "seed {seed}: {p:?}");
        assert!(kernel(&p, &a[1..], &b, &mut found).is_none());
        assert!(kernel(&p, &a, &b[1..], &mut found).is_none());
        assert!(kernel(&p, &a, &b, &mut found[1..]).is_none());
    }
}

macro_rules! kernel_tests {
    ($variant:ident) => {
        mod $variant {
            use super::*;

            #[test]
            fn gives_the_bits_of_the_reference() {
                compare::<i8>(super::super::$variant::matmul);
                compare::<i16>(super::super::$variant::matmul);
            }
        }
    };
}

kernel_tests!(portable);

#[test]
fn the_deepest_product_does_not_overflow() {
    let multiplier = Multiplier { mult: MIN_MULTIPLIER, shift: 62 };
    let output = Output { zero_point: 0, min: i8::MIN, max: i8::MAX };
    let p = MatMul {
        batches: 1,
        shared: [false; 2],
        rows: 1,
        depth: MAX_DEPTH,
        columns: 1,
        zero_points: [127, 127],
        multiplier,
        output,
    };
    let (a, mut found, mut expected) = (vec![i8::MIN; MAX_DEPTH], [0], [0]);
    reference::matmul(&p, &a, &a, &mut expected).unwrap();
    super::portable::matmul(&p, &a, &a, &mut found).unwrap();
    // 2^15 · 255² · 2^30 / 2^62 = 0.496
    assert_eq!((expected, found), ([0], [0]));
}
