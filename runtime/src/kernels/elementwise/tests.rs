//! Every variant against the reference, bit for bit, in every form in place.

use std::{vec, vec::Vec};

use super::*;
use crate::arch::{Products, each_level};
use crate::fixed::{MAX_SHIFT, MIN_MULTIPLIER};
use crate::kernels::nest::elements;
use crate::kernels::testing::Random;
use crate::kernels::{Binary, Element, Unary};

/// A factor for values of so many bits: most results fill `E`, some saturate, some vanish.
fn multiplier<E: Element>(random: &mut Random, bits: i64) -> Multiplier {
    let width = 8 * size_of::<E>() as i64;
    let mult = random.range(i64::from(MIN_MULTIPLIER)..1 << 31) as i32;
    let shift = (30 + bits - width + random.range(-3..10)).clamp(1, i64::from(MAX_SHIFT)) as u8;
    Multiplier { mult: if random.range(0..4) == 0 { -mult } else { mult }, shift }
}

fn term<E: Element>(random: &mut Random) -> Term {
    let limit = i64::from(E::MAX_FACTOR);
    let mult = match random.range(0..6) {
        0 => limit,
        1 => -limit,
        _ => random.range(-limit..limit + 1),
    };
    Term { zero_point: random.zero_point::<E>(), mult: mult as i32 }
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
fn every_form<E: Element>(
    random: &mut Random,
    shape: &Broadcast,
    reference: impl Fn(&[E], &[E], &mut [E]),
    kernel: impl Fn(Binary<'_, E>) -> Option<()>,
) {
    let [a_len, b_len, len] = [shape.a, shape.b, shape.out].map(|s| elements(s).unwrap());
    let (a, b) = (random.values(a_len), random.values(b_len));
    let mut expected = vec![E::MIN; len];
    reference(&a, &b, &mut expected);
    let mut found = vec![E::MAX; len];
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
        let mut found = vec![E::MAX; len];
        kernel(Binary::Apart(&a, &a, &mut found)).unwrap();
        assert_eq!(expected, found, "twice the same operand");
    }
}

/// Runs `kernel` apart and in place over values of all the range (in int8 every one), in tensors of several lengths, and compares with `reference`.
fn both_forms<E: Element>(
    random: &mut Random,
    reference: impl Fn(&[E], &mut [E]),
    kernel: impl Fn(Unary<'_, E>) -> Option<()>,
) {
    let len = random.range(0..70) as usize;
    let step = 1 << (8 * size_of::<E>() - 8);
    let range = (E::MIN.widen()..=E::MAX.widen()).step_by(step).map(E::saturate);
    for x in [random.values(len), range.chain([E::MAX]).collect()] {
        let mut expected = vec![E::MIN; x.len()];
        reference(&x, &mut expected);
        let mut found = vec![E::MAX; x.len()];
        kernel(Unary::Apart(&x, &mut found)).unwrap();
        assert_eq!(expected, found, "apart");
        let mut found = x.clone();
        kernel(Unary::InPlace(&mut found)).unwrap();
        assert_eq!(expected, found, "in place");
    }
}

/// The sums of [`portable`], and those that this machine runs.
fn sums<E: Products>() {
    for seed in 0..4_000 {
        let random = &mut Random(seed);
        let out = shape(random);
        let (a, b) = (operand_shape(random, &out), operand_shape(random, &out));
        let shape = Broadcast { a: &a, b: &b, out: &out };
        let (a, b) = (term::<E>(random), term::<E>(random));
        let shift = random.range(0..i64::from(E::MAX_SUM_SHIFT) + 1) as u8;
        let p = Add { shape, a, b, shift, output: random.output() };
        std::println!("seed {seed}: {p:?}");
        let reference = |a: &[E], b: &[E], y: &mut [E]| reference::add(&p, a, b, y).unwrap();
        every_form(random, &p.shape, reference, |operands| super::portable::add(&p, operands));
        each_level(|| every_form(random, &p.shape, reference, |operands| E::add(&p, operands)));
    }
}

/// A factor that is rounded as TensorFlow Lite does.
fn rounded(random: &mut Random, shift: std::ops::Range<i64>) -> Multiplier {
    let mult = random.range(i64::from(MIN_MULTIPLIER)..1 << 31) as i32;
    Multiplier { mult, shift: random.range(shift) as u8 }.as_tflite()
}

#[test]
fn sums_of_tflite_give_the_bits_of_the_reference() {
    for seed in 0..4_000 {
        let random = &mut Random(seed);
        let out = shape(random);
        let (a, b) = (operand_shape(random, &out), operand_shape(random, &out));
        let p = AddTfLite {
            shape: Broadcast { a: &a, b: &b, out: &out },
            zero_points: [random.zero_point::<i8>(), random.zero_point::<i8>()],
            fine: match random.range(0..4) {
                0 => (Multiplier { mult: 1 << 30, shift: 32 }.as_tflite(), 21),
                _ => (rounded(random, 32..40), 20),
            },
            sum: rounded(random, 45..54),
            fine_first: random.range(0..2) == 0,
            difference: random.range(0..2) == 0,
            output: random.output(),
        };
        std::println!("seed {seed}: {p:?}");
        let reference = |a: &[i8], b: &[i8], y: &mut [i8]| reference::add_tflite(&p, a, b, y).unwrap();
        every_form(random, &p.shape, reference, |operands| super::portable::add_tflite(&p, operands));
        each_level(|| {
            every_form(random, &p.shape, reference, |operands| crate::arch::elementwise::add_tflite(&p, operands));
        });
    }
}

#[test]
fn sums_give_the_bits_of_the_reference() {
    sums::<i8>();
    sums::<i16>();
    sums::<i32>();
}

macro_rules! kernel_tests {
    ($name:ident: $variant:ident of $element:ty) => {
        mod $name {
            use super::super::$variant as variant;
            use super::*;

            type E = $element;

            #[test]
            fn mul_gives_the_bits_of_the_reference() {
                for seed in 0..4_000 {
                    let random = &mut Random(seed);
                    let out = shape(random);
                    let (a, b) = (operand_shape(random, &out), operand_shape(random, &out));
                    let shape = Broadcast { a: &a, b: &b, out: &out };
                    let zero_points = [random.zero_point::<E>(), random.zero_point::<E>()];
                    let multiplier = multiplier::<E>(random, 16 * size_of::<E>() as i64);
                    let p = Mul { shape, zero_points, multiplier, output: random.output() };
                    std::println!("seed {seed}: {p:?}");
                    let reference = |a: &[E], b: &[E], y: &mut [E]| reference::mul(&p, a, b, y).unwrap();
                    every_form(random, &p.shape, reference, |operands| variant::mul(&p, operands));
                }
            }

            #[test]
            fn maximum_gives_the_bits_of_the_reference() {
                for seed in 0..1_000 {
                    let random = &mut Random(seed);
                    let out = shape(random);
                    let (a, b) = (operand_shape(random, &out), operand_shape(random, &out));
                    let shape = Broadcast { a: &a, b: &b, out: &out };
                    let reference = |a: &[E], b: &[E], y: &mut [E]| reference::maximum(&shape, a, b, y).unwrap();
                    every_form(random, &shape, reference, |operands| variant::maximum(&shape, operands));
                }
            }

            #[test]
            fn clamp_gives_the_bits_of_the_reference() {
                for seed in 0..200 {
                    let random = &mut Random(seed);
                    let Output { min, max, .. } = random.output::<E>();
                    let p = Clamp { min, max };
                    let reference = |x: &[E], y: &mut [E]| reference::clamp(&p, x, y).unwrap();
                    both_forms(random, reference, |operands| variant::clamp(&p, operands));
                }
            }

            #[test]
            fn requantize_gives_the_bits_of_the_reference() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let multiplier = multiplier::<E>(random, 8 * size_of::<E>() as i64);
                    let p = Requantize { zero_point: random.zero_point::<E>(), multiplier, output: random.output() };
                    let reference = |x: &[E], y: &mut [E]| reference::requantize(&p, x, y).unwrap();
                    both_forms(random, reference, |operands| variant::requantize(&p, operands));
                }
            }

            #[test]
            fn slices_of_wrong_size_do_not_panic() {
                let random = &mut Random(7);
                let shape = Broadcast { a: &[4], b: &[2, 1], out: &[2, 4] };
                let (a, b) = (term::<E>(random), term::<E>(random));
                let add = Add { shape, a, b, shift: 1, output: random.output() };
                let mul = Mul {
                    shape,
                    zero_points: [0; 2],
                    multiplier: multiplier::<E>(random, 16),
                    output: random.output(),
                };
                for lens in (0..10).flat_map(|a| (0..10).flat_map(move |b| (0..10).map(move |y| [a, b, y]))) {
                    let [a, b, y] = lens.map(|len| random.values::<E>(len));
                    let right = lens == [4, 2, 8];
                    assert_eq!(variant::add(&add, Binary::Apart(&a, &b, &mut y.clone())).is_some(), right);
                    assert_eq!(variant::mul(&mul, Binary::Apart(&a, &b, &mut y.clone())).is_some(), right);
                    // Neither operand has as many elements as the result.
                    assert!(variant::add(&add, Binary::InPlaceFirst(&mut y.clone(), &b)).is_none());
                    assert!(variant::add(&add, Binary::InPlaceSecond(&a, &mut y.clone())).is_none());
                    assert!(variant::mul(&mul, Binary::InPlaceBoth(&mut y.clone())).is_none());
                    let clamp = Clamp { min: -1, max: 1 };
                    let same = a.len() == y.len();
                    assert_eq!(variant::clamp(&clamp, Unary::Apart(&a, &mut y.clone())).is_some(), same);
                }
            }

            #[test]
            fn shapes_that_cannot_be_broadcast_do_not_panic() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let shapes = [shape(random), shape(random), shape(random)];
                    let [a, b, mut y] = [0, 1, 2].map(|i| random.values::<E>(elements(&shapes[i]).unwrap()));
                    let shape = Broadcast { a: &shapes[0], b: &shapes[1], out: &shapes[2] };
                    let p =
                        Add { shape, a: term::<E>(random), b: term::<E>(random), shift: 1, output: random.output() };
                    variant::add(&p, Binary::Apart(&a, &b, &mut y));
                }
            }
        }
    };
}

kernel_tests!(portable_s8: portable of i8);
kernel_tests!(portable_s16: portable of i16);

/// What has one element type, or two.
macro_rules! single_tests {
    ($variant:ident) => {
        mod $variant {
            use super::super::$variant as variant;
            use super::*;

            #[test]
            fn table_gives_the_bits_of_the_reference() {
                for seed in 0..200 {
                    let random = &mut Random(seed);
                    let table: Table = random.i8s(256).try_into().unwrap();
                    let reference = |x: &[i8], y: &mut [i8]| reference::table_s8(&table, x, y).unwrap();
                    both_forms(random, reference, |operands| variant::table_s8(&table, operands));
                }
                let different = Unary::Apart(&[1], &mut [1; 2]);
                assert!(variant::table_s8(&[0; 256], different).is_none());
            }

            /// Any sound function, segments in any order and with knots of their own.
            fn interpolated(random: &mut Random) -> (Vec<u32>, Vec<i32>) {
                let k = random.range(0..13) as u32;
                let (mut segments, mut knots) = (Vec::new(), Vec::new());
                for _ in 0..1 << k {
                    let shift = random.range((16 - k).saturating_sub(5).into()..i64::from(16 - k) + 1) as u32;
                    segments.push((knots.len() as u32) << 8 | shift);
                    let small = random.range(0..32);
                    knots.extend((0..(1_usize << (16 - k - shift)) + 1).map(|_| (random.next() as i32) >> small));
                }
                (segments, knots)
            }

            #[test]
            fn interpolated_gives_the_bits_of_the_reference() {
                for seed in 0..200 {
                    let random = &mut Random(seed);
                    let (segments, knots) = interpolated(random);
                    let p = Interpolated { segments: &segments, knots: &knots };
                    assert!(p.is_sound());
                    let reference = |x: &[i16], y: &mut [i16]| reference::interpolated(&p, x, y).unwrap();
                    both_forms(random, reference, |operands| variant::interpolated(&p, operands));
                    let x = random.values(300);
                    let (mut expected, mut found) = (vec![0; 300], vec![1; 300]);
                    reference::interpolated_wide(&p, &x, &mut expected).unwrap();
                    variant::interpolated_wide(&p, &x, &mut found).unwrap();
                    assert_eq!(expected, found);
                    assert!(variant::interpolated_wide(&p, &x, &mut [0; 299]).is_none());
                    let short = Interpolated { segments: &segments, knots: &knots[1..] };
                    assert!(!short.is_sound());
                }
            }

            #[test]
            fn unsound_functions_do_not_panic() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let wild = |random: &mut Random| (random.next() as u32) >> random.range(0..32);
                    let segments: Vec<u32> = (0..random.range(0..9)).map(|_| wild(random)).collect();
                    let knots: Vec<i32> = (0..random.range(0..40)).map(|_| wild(random) as i32).collect();
                    let x = random.values::<i16>(100);
                    let p = Interpolated { segments: &segments, knots: &knots };
                    p.is_sound();
                    variant::interpolated(&p, Unary::Apart(&x, &mut [0; 100]));
                    variant::interpolated_wide(&p, &x, &mut [0; 100]);
                    let octaves = Octaves { bits: random.range(0..256) as u8, knots: &knots };
                    octaves.is_sound();
                    variant::octaves(&octaves, &random.values(100), &mut [0; 100]);
                }
            }

            #[test]
            fn octaves_give_the_bits_of_the_reference() {
                for seed in 0..300 {
                    let random = &mut Random(seed);
                    let bits = random.range(1..11) as u8;
                    let count = Octaves::knot_count(bits) * random.range(1..3) as usize;
                    let small = random.range(0..32);
                    let knots: Vec<i32> = (0..count).map(|_| (random.next() as i32) >> small).collect();
                    let p = Octaves { bits, knots: &knots };
                    assert!(p.is_sound() && !Octaves { knots: &knots[1..], ..p }.is_sound());
                    let mut x = random.values(300);
                    x.iter_mut().for_each(|x: &mut i32| *x >>= random.range(0..32));
                    x.extend([0, 1, -1, i32::MIN, i32::MAX]);
                    let (mut expected, mut found) = (vec![0; x.len()], vec![1; x.len()]);
                    reference::octaves(&p, &x, &mut expected).unwrap();
                    variant::octaves(&p, &x, &mut found).unwrap();
                    assert_eq!(expected, found, "seed {seed}, {bits} bits");
                    assert!(variant::octaves(&p, &x, &mut [0; 1]).is_none());
                }
            }

            fn convert<X: Element, Y: Element>() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let multiplier = multiplier::<Y>(random, 8 * size_of::<X>() as i64);
                    let p =
                        Requantize { zero_point: random.zero_point::<X>(), multiplier, output: random.output::<Y>() };
                    let len = random.range(0..70) as usize;
                    let x = random.values::<X>(len);
                    let (mut expected, mut found) = (vec![Y::MIN; x.len()], vec![Y::MAX; x.len()]);
                    reference::requantize(&p, &x, &mut expected).unwrap();
                    variant::convert(&p, &x, &mut found).unwrap();
                    assert_eq!(expected, found, "seed {seed}: {p:?}");
                    found.push(Y::MIN);
                    assert!(variant::convert(&p, &x, &mut found).is_none());
                }
            }

            #[test]
            fn convert_gives_the_bits_of_the_reference() {
                convert::<i8, i16>();
                convert::<i16, i8>();
            }
        }
    };
}

single_tests!(portable);
