//! Every variant against the reference, bit for bit, and the reference against real numbers.

use std::{vec, vec::Vec};

use super::*;
use crate::kernels::Element;
use crate::kernels::testing::Random;

/// Owned [`Taps`].
struct Table {
    width: usize,
    index: Vec<i16>,
    weight: Vec<i32>,
}

impl Table {
    /// Weights of any sign whose sums stay within the bound; one in four tables copies.
    fn random(random: &mut Random, inputs: usize) -> Self {
        let outputs = random.range(1..8) as usize;
        let copies = random.range(0..4) == 0;
        let width = if copies { 1 } else { random.range(1..6) as usize };
        let len = outputs * width;
        let index = (0..len).map(|_| random.range(0..inputs as i64) as i16).collect();
        let bound = i64::from(MAX_WEIGHT_SUM) / width as i64;
        let weight = (0..len).map(|_| match random.range(0..6) {
            _ if copies => 1 << WEIGHT_BITS,
            0 => 0,
            1 => bound as i32,
            _ => random.range(-(1 << WEIGHT_BITS) / width as i64..(1 << WEIGHT_BITS) / width as i64 + 1) as i32,
        });
        Self { width, index, weight: weight.collect() }
    }

    fn view(&self) -> Taps<'_> {
        Taps { width: self.width, index: &self.index, weight: &self.weight }
    }
}

fn case<E: Element>(random: &mut Random, check: impl Fn(&Resample2d<E>, &[E], usize)) {
    let input = [0, 1].map(|_| random.range(1..9) as usize);
    let (rows, columns) = (Table::random(random, input[0]), Table::random(random, input[1]));
    let p = Resample2d {
        batch: random.range(1..3) as usize,
        channels: random.range(1..10) as usize,
        input,
        rows: rows.view(),
        columns: columns.view(),
        in_zero_point: random.zero_point::<E>(),
        output: random.output(),
    };
    let x = random.values::<E>(p.batch * input[0] * input[1] * p.channels);
    check(&p, &x, p.batch * p.rows.len() * p.columns.len() * p.channels);
}

/// Halfway between two elements is their mean, rounded half up.
#[test]
fn the_reference_interpolates() {
    let half = Taps { width: 2, index: &[0, 1], weight: &[1 << 19, 1 << 19] };
    let all = Taps { width: 1, index: &[0], weight: &[1 << 20] };
    let p = Resample2d {
        batch: 1,
        channels: 2,
        input: [1, 2],
        rows: all,
        columns: half,
        in_zero_point: 10,
        output: super::super::Output { zero_point: -3, min: i8::MIN, max: i8::MAX },
    };
    let mut out = [0; 2];
    reference::resample2d(&p, &[20, -30, 31, -25], &mut out).unwrap();
    assert_eq!(out, [16 - 3, -37 - 3]);
}

macro_rules! kernel_tests {
    ($variant:ident, $element:ident, $name:ident) => {
        #[test]
        fn $name() {
            for seed in 0..2_000 {
                case::<$element>(&mut Random(seed), |p, x, outputs| {
                    let (mut expected, mut found) = (vec![0; outputs], vec![1; outputs]);
                    let mut sums = vec![3; $variant::resample2d_scratch_len(p).unwrap() / 8];
                    reference::resample2d(p, x, &mut expected).unwrap();
                    $variant::resample2d(p, x, &mut found, &mut sums).unwrap();
                    assert_eq!(expected, found, "seed {seed}: {p:?}");
                    for len in 0..x.len().min(9) {
                        let sums = &mut sums[..(len / 2).min(p.channels)];
                        $variant::resample2d(p, &x[..len], &mut found, sums);
                    }
                });
            }
        }
    };
}

kernel_tests!(portable, i8, portable_gives_the_bits_of_the_reference_in_int8);
kernel_tests!(portable, i16, portable_gives_the_bits_of_the_reference_in_int16);
