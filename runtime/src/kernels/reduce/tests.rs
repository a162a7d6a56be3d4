//! Every variant against the reference, bit for bit.

use std::{vec, vec::Vec};

use super::*;
use crate::fixed::MIN_MULTIPLIER;
use crate::kernels::Element;
use crate::kernels::testing::{Random, multiplier, real_result, rounded_once};

/// A random shape of up to 8 axes and at most 300 elements.
fn shape(random: &mut Random) -> Vec<u32> {
    let mut room = 300;
    let rank = random.range(0..9);
    let mut dim = || {
        let dim = random.range(1..room.min(6) + 1);
        room /= dim;
        dim as u32
    };
    (0..rank).map(|_| dim()).collect()
}

#[allow(clippy::float_arithmetic)]
fn the_mean_is_within_its_error_bound<E: Element>() {
    for seed in 0..2_000 {
        let random = &mut Random(seed);
        let [before, len, after] = [1..4, 1..40, 1..5].map(|r| random.range(r) as usize);
        let ratio = f64::from(random.range(1..1 << 20) as i32) / f64::from(1 << 18);
        let p = Reduce::<E> {
            shape: &[before as u32, len as u32, after as u32],
            axes: 0b010,
            in_zero_point: random.zero_point::<E>(),
            factor: multiplier(ratio / len as f64),
            output: random.output(),
        };
        let x = random.values(before * len * after);
        let mut out = vec![E::MIN; before * after];
        reference::reduce(&p, &x, &mut out).unwrap();
        for (o, &found) in out.iter().enumerate() {
            let values = (0..len).map(|i| f64::from(x[(o / after * len + i) * after + o % after].widen()));
            let mean = values.sum::<f64>() / len as f64;
            let real = real_result(mean - f64::from(p.in_zero_point), ratio, &p.output);
            let found = f64::from(found.widen());
            assert!((found - real).abs() <= rounded_once::<E>(), "seed {seed}: {found} for {real}");
        }
    }
}

macro_rules! kernel_tests {
    ($name:ident: $variant:ident of $element:ty) => {
        mod $name {
            use super::*;

            #[test]
            fn the_mean_is_within_its_error_bound() {
                super::the_mean_is_within_its_error_bound::<$element>();
            }

            #[test]
            fn reduce_gives_the_bits_of_the_reference() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let shape = shape(random);
                    let p = Reduce::<$element> {
                        shape: &shape,
                        axes: random.range(0..1 << shape.len()) as u32,
                        in_zero_point: random.zero_point::<$element>(),
                        factor: Multiplier {
                            mult: random.range(i64::from(MIN_MULTIPLIER)..1 << 31) as i32,
                            shift: random.range(29..40) as u8,
                        },
                        output: random.output(),
                    };
                    let x = random.values(shape.iter().product::<u32>() as usize);
                    let outputs = p.out_len().unwrap();
                    let (mut expected, mut found) = (vec![0; outputs], vec![1; outputs]);
                    let bytes = super::super::$variant::reduce_scratch_len(&p).unwrap();
                    let mut sums = vec![7; bytes / size_of::<<$element as Element>::Sum>()];
                    reference::reduce(&p, &x, &mut expected).unwrap();
                    super::super::$variant::reduce(&p, &x, &mut found, &mut sums).unwrap();
                    assert_eq!(expected, found, "seed {seed}: {p:?}");
                }
            }

            #[test]
            fn slices_of_wrong_size_do_not_panic() {
                let p = Reduce::<$element> {
                    shape: &[2, 3, 4],
                    axes: 0b010,
                    in_zero_point: 0,
                    factor: Multiplier { mult: 1 << 30, shift: 31 },
                    output: Output { zero_point: 0, min: -128, max: 127 },
                };
                for len in 0..30 {
                    let x = Random(1).values(len);
                    super::super::$variant::reduce(&p, &x, &mut vec![0; len], &mut vec![0; len]);
                }
            }
        }
    };
}

kernel_tests!(portable_s8: portable of i8);
kernel_tests!(portable_s16: portable of i16);
kernel_tests!(portable_s32: portable of i32);
