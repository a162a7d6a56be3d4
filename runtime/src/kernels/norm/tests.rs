//! Every variant against the reference, bit for bit, and the reference against real numbers.

use std::{vec, vec::Vec};

use super::*;
use crate::kernels::testing::Random;

struct Case<E> {
    shape: Vec<u32>,
    axes: u32,
    scale: Vec<i32>,
    bias: Vec<i32>,
    x: Vec<E>,
}

impl<E: Element> Case<E> {
    fn random(random: &mut Random) -> Self {
        let mut room = 200;
        let rank = random.range(1..6);
        let mut dim = || {
            let dim = random.range(1..room.min(8) + 1);
            room /= dim;
            dim as u32
        };
        let shape: Vec<u32> = (0..rank).map(|_| dim()).collect();
        let axes = random.range(0..1 << shape.len()) as u32;
        let suffix = random.range(0..rank + 1) as usize;
        let period = shape[suffix..].iter().product::<u32>() as usize;
        let scale = (0..period).map(|_| random.range(-(1 << 30)..1 << 30) as i32).collect();
        let bias = (0..period).map(|_| random.range(-(1 << 20)..1 << 20) as i32).collect();
        let x = random.values(shape.iter().product::<u32>() as usize);
        Self { shape, axes, scale, bias, x }
    }

    fn params(&self, random: &mut Random) -> Normalize<'_, E> {
        Normalize {
            shape: &self.shape,
            axes: self.axes,
            centered: random.range(0..2) == 0,
            epsilon: if random.range(0..3) == 0 { 0 } else { random.next() >> random.range(10..64) },
            in_zero_point: random.zero_point::<E>(),
            scale: &self.scale,
            bias: &self.bias,
            shift: random.range(34..47) as u8,
            output: random.output(),
        }
    }
}

#[test]
#[allow(clippy::float_arithmetic)]
fn the_reference_is_within_its_error_bound() {
    for seed in 0..1_000 {
        let random = &mut Random(seed);
        let n = random.range(2..200) as usize;
        let x = random.values::<i16>(n);
        // A step of the output is 2^-12 of a deviation.
        let (scale, shift) = (1 << 30, 30 + 19 - 12);
        let epsilon = random.range(0..1 << 20) as u64 * (n * n) as u64;
        let p = Normalize {
            shape: &[n as u32],
            axes: 1,
            centered: random.range(0..2) == 0,
            epsilon,
            in_zero_point: 0,
            scale: &[scale],
            bias: &[5 << 12],
            shift,
            output: Output { zero_point: 0, min: i16::MIN, max: i16::MAX },
        };
        let mut out = vec![0; n];
        reference::normalize(&p, &x, &mut out).unwrap();
        let mean = if p.centered { x.iter().map(|&v| f64::from(v)).sum::<f64>() / n as f64 } else { 0.0 };
        let variance = x.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n as f64;
        let deviation = (variance + epsilon as f64 / (n * n) as f64).sqrt();
        for (&found, &x) in out.iter().zip(&x) {
            let real = (f64::from(x) - mean) / deviation * 4096.0 + 5.0;
            let real = real.clamp(f64::from(i16::MIN), f64::from(i16::MAX));
            assert!((f64::from(found) - real).abs() <= 0.52, "seed {seed}: {found} for {real}");
        }
    }
}

macro_rules! kernel_tests {
    ($variant:ident, $element:ident, $name:ident) => {
        #[test]
        fn $name() {
            for seed in 0..500 {
                let random = &mut Random(seed);
                let case = Case::<$element>::random(random);
                let p = case.params(random);
                let (mut expected, mut found) = (vec![0; case.x.len()], vec![1; case.x.len()]);
                let mut sums = vec![[7; 2]; $variant::normalize_scratch_len(&p).unwrap() / 16];
                reference::normalize(&p, &case.x, &mut expected).unwrap();
                $variant::normalize(&p, &case.x, &mut found, &mut sums).unwrap();
                assert_eq!(expected, found, "seed {seed}: {p:?}");
                for len in 0..case.x.len().min(9) {
                    $variant::normalize(&p, &case.x[..len], &mut found, &mut sums);
                    $variant::normalize(&p, &case.x, &mut found[..len], &mut sums[..len.min(1)]);
                }
            }
        }
    };
}

kernel_tests!(portable, i8, portable_gives_the_bits_of_the_reference_in_int8);
kernel_tests!(portable, i16, portable_gives_the_bits_of_the_reference_in_int16);
