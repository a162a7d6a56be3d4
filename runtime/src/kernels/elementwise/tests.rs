//! Every variant against the reference, bit for bit, in every form in place.

use std::{vec, vec::Vec};

use super::*;
use crate::fixed::{MAX_SHIFT, MIN_MULTIPLIER};
use crate::kernels::nest::elements;
use crate::kernels::testing::Random;
use crate::kernels::{Binary, Unary};

/// Zero points, half of them at an end of the range.
fn zero_point(random: &mut Random) -> i32 {
    match random.range(0..4) {
        0 => -128,
        1 => 127,
        _ => random.range(-128..128) as i32,
    }
}

fn output(random: &mut Random) -> Output {
    let (a, b) = (random.i8s(1)[0], random.i8s(1)[0]);
    Output { zero_point: zero_point(random), min: a.min(b), max: a.max(b) }
}

/// A factor for values of so many bits: most results fill int8, some saturate, some vanish.
fn multiplier(random: &mut Random, bits: i64) -> Multiplier {
    let mult = random.range(i64::from(MIN_MULTIPLIER)..1 << 31) as i32;
    let shift = (30 + bits - 8 + random.range(-3..10)).clamp(1, i64::from(MAX_SHIFT)) as u8;
    Multiplier { mult: if random.range(0..4) == 0 { -mult } else { mult }, shift }
}

fn term(random: &mut Random) -> Term {
    let limit = i64::from(Add::MAX_FACTOR);
    let mult = match random.range(0..6) {
        0 => limit,
        1 => -limit,
        _ => random.range(-limit..limit + 1),
    };
    Term { zero_point: zero_point(random), mult: mult as i32 }
}

/// A result's shape, and an operand's that can be broadcast to it.
fn shape(random: &mut Random) -> Vec<u32> {
    let rank = random.range(0..9);
    let longest = if rank > 4 { 4 } else { 10 };
    (0..rank).map(|_| random.range(1..longest) as u32).collect()
}

fn operand_shape(random: &mut Random, out: &[u32]) -> Vec<u32> {
    let repeated = match random.range(0..4) {
        0 => 0,
        1 => 256,
        _ => random.range(0..257),
    };
    let shape: Vec<u32> = out.iter().map(|&n| if random.range(0..256) < repeated { 1 } else { n }).collect();
    // Outer axes of length 1 may be left out.
    let outer_ones = shape.iter().take_while(|&&n| n == 1).count();
    shape[random.range(0..outer_ones as i64 + 1) as usize..].to_vec()
}

/// Runs `kernel` in every form that the shapes allow, and compares with `reference`.
fn every_form(
    random: &mut Random,
    shape: &Broadcast,
    reference: impl Fn(&[i8], &[i8], &mut [i8]),
    kernel: impl Fn(Binary<'_, i8>) -> Option<()>,
) {
    let [a_len, b_len, len] = [shape.a, shape.b, shape.out].map(|s| elements(s).unwrap());
    let (a, b) = (random.i8s(a_len), random.i8s(b_len));
    let mut expected = vec![0; len];
    reference(&a, &b, &mut expected);
    let mut found = vec![99; len];
    kernel(Binary::Apart(&a, &b, &mut found)).unwrap();
    assert_eq!(expected, found, "apart");
    if a_len == len {
        let mut found = a.clone();
        kernel(Binary::InPlaceFirst(&mut found, &b)).unwrap();
        assert_eq!(expected, found, "in place of the first");
    }
    if b_len == len {
        let mut found = b.clone();
        kernel(Binary::InPlaceSecond(&a, &mut found)).unwrap();
        assert_eq!(expected, found, "in place of the second");
    }
    if a_len == len && b_len == len {
        reference(&a, &a, &mut expected);
        let mut found = a.clone();
        kernel(Binary::InPlaceBoth(&mut found)).unwrap();
        assert_eq!(expected, found, "in place of both");
        let mut found = vec![99; len];
        kernel(Binary::Apart(&a, &a, &mut found)).unwrap();
        assert_eq!(expected, found, "twice the same operand");
    }
}

/// Runs `kernel` apart and in place over every value, in tensors of several lengths, and compares with `reference`.
fn both_forms(random: &mut Random, reference: impl Fn(&[i8], &mut [i8]), kernel: impl Fn(Unary<'_, i8>) -> Option<()>) {
    let len = random.range(0..70) as usize;
    for x in [random.i8s(len), (i8::MIN..=i8::MAX).collect()] {
        let mut expected = vec![0; x.len()];
        reference(&x, &mut expected);
        let mut found = vec![99; x.len()];
        kernel(Unary::Apart(&x, &mut found)).unwrap();
        assert_eq!(expected, found, "apart");
        let mut found = x.clone();
        kernel(Unary::InPlace(&mut found)).unwrap();
        assert_eq!(expected, found, "in place");
    }
}

macro_rules! kernel_tests {
    ($variant:ident) => {
        mod $variant {
            use super::super::$variant as variant;
            use super::*;

            #[test]
            fn add_gives_the_bits_of_the_reference() {
                for seed in 0..4_000 {
                    let random = &mut Random(seed);
                    let out = shape(random);
                    let (a, b) = (operand_shape(random, &out), operand_shape(random, &out));
                    let shape = Broadcast { a: &a, b: &b, out: &out };
                    let (a, b, shift) = (term(random), term(random), random.range(0..31) as u8);
                    let p = Add { shape, a, b, shift, output: output(random) };
                    std::println!("seed {seed}: {p:?}");
                    let reference = |a: &[i8], b: &[i8], y: &mut [i8]| reference::add_s8(&p, a, b, y).unwrap();
                    every_form(random, &p.shape, reference, |operands| variant::add_s8(&p, operands));
                }
            }

            #[test]
            fn mul_gives_the_bits_of_the_reference() {
                for seed in 0..4_000 {
                    let random = &mut Random(seed);
                    let out = shape(random);
                    let (a, b) = (operand_shape(random, &out), operand_shape(random, &out));
                    let shape = Broadcast { a: &a, b: &b, out: &out };
                    let zero_points = [zero_point(random), zero_point(random)];
                    let p = Mul { shape, zero_points, multiplier: multiplier(random, 16), output: output(random) };
                    std::println!("seed {seed}: {p:?}");
                    let reference = |a: &[i8], b: &[i8], y: &mut [i8]| reference::mul_s8(&p, a, b, y).unwrap();
                    every_form(random, &p.shape, reference, |operands| variant::mul_s8(&p, operands));
                }
            }

            #[test]
            fn maximum_gives_the_bits_of_the_reference() {
                for seed in 0..1_000 {
                    let random = &mut Random(seed);
                    let out = shape(random);
                    let (a, b) = (operand_shape(random, &out), operand_shape(random, &out));
                    let shape = Broadcast { a: &a, b: &b, out: &out };
                    let reference = |a: &[i8], b: &[i8], y: &mut [i8]| reference::maximum_s8(&shape, a, b, y).unwrap();
                    every_form(random, &shape, reference, |operands| variant::maximum_s8(&shape, operands));
                }
            }

            #[test]
            fn clamp_gives_the_bits_of_the_reference() {
                for seed in 0..200 {
                    let random = &mut Random(seed);
                    let Output { min, max, .. } = output(random);
                    let p = Clamp { min, max };
                    let reference = |x: &[i8], y: &mut [i8]| reference::clamp_s8(&p, x, y).unwrap();
                    both_forms(random, reference, |operands| variant::clamp_s8(&p, operands));
                }
            }

            #[test]
            fn table_gives_the_bits_of_the_reference() {
                for seed in 0..200 {
                    let random = &mut Random(seed);
                    let table: Table = random.i8s(256).try_into().unwrap();
                    let reference = |x: &[i8], y: &mut [i8]| reference::table_s8(&table, x, y).unwrap();
                    both_forms(random, reference, |operands| variant::table_s8(&table, operands));
                }
            }

            #[test]
            fn requantize_gives_the_bits_of_the_reference() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let multiplier = multiplier(random, 8);
                    let p = Requantize { zero_point: zero_point(random), multiplier, output: output(random) };
                    let reference = |x: &[i8], y: &mut [i8]| reference::requantize_s8(&p, x, y).unwrap();
                    both_forms(random, reference, |operands| variant::requantize_s8(&p, operands));
                }
            }

            #[test]
            fn slices_of_wrong_size_do_not_panic() {
                let random = &mut Random(7);
                let shape = Broadcast { a: &[4], b: &[2, 1], out: &[2, 4] };
                let (a, b) = (term(random), term(random));
                let add = Add { shape, a, b, shift: 1, output: output(random) };
                let mul =
                    Mul { shape, zero_points: [0; 2], multiplier: multiplier(random, 16), output: output(random) };
                for lens in (0..10).flat_map(|a| (0..10).flat_map(move |b| (0..10).map(move |y| [a, b, y]))) {
                    let [a, b, y] = lens.map(|len| random.i8s(len));
                    let right = lens == [4, 2, 8];
                    assert_eq!(variant::add_s8(&add, Binary::Apart(&a, &b, &mut y.clone())).is_some(), right);
                    assert_eq!(variant::mul_s8(&mul, Binary::Apart(&a, &b, &mut y.clone())).is_some(), right);
                    // Neither operand has as many elements as the result.
                    assert!(variant::add_s8(&add, Binary::InPlaceFirst(&mut y.clone(), &b)).is_none());
                    assert!(variant::add_s8(&add, Binary::InPlaceSecond(&a, &mut y.clone())).is_none());
                    assert!(variant::mul_s8(&mul, Binary::InPlaceBoth(&mut y.clone())).is_none());
                    let clamp = Clamp { min: -1, max: 1 };
                    let same = a.len() == y.len();
                    assert_eq!(variant::clamp_s8(&clamp, Unary::Apart(&a, &mut y.clone())).is_some(), same);
                    assert_eq!(variant::table_s8(&[0; 256], Unary::Apart(&a, &mut y.clone())).is_some(), same);
                }
            }

            #[test]
            fn shapes_that_cannot_be_broadcast_do_not_panic() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let shapes = [shape(random), shape(random), shape(random)];
                    let [a, b, mut y] = [0, 1, 2].map(|i| random.i8s(elements(&shapes[i]).unwrap()));
                    let shape = Broadcast { a: &shapes[0], b: &shapes[1], out: &shapes[2] };
                    let p = Add { shape, a: term(random), b: term(random), shift: 1, output: output(random) };
                    variant::add_s8(&p, Binary::Apart(&a, &b, &mut y));
                }
            }
        }
    };
}

kernel_tests!(portable);
