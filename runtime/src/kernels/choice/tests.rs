//! Every variant against the reference, bit for bit.

use std::{vec, vec::Vec};

use super::*;
use crate::kernels::nest::elements;
use crate::kernels::testing::Random;

/// A result's shape, and shapes of operands that can be broadcast to it.
fn shapes<const N: usize>(random: &mut Random) -> (Vec<u32>, [Vec<u32>; N]) {
    let rank = random.range(0..6);
    let out: Vec<u32> = (0..rank).map(|_| random.range(1..5) as u32).collect();
    let operands = core::array::from_fn(|_| {
        let shape: Vec<u32> = out.iter().map(|&n| if random.range(0..3) == 0 { 1 } else { n }).collect();
        let outer_ones = shape.iter().take_while(|&&n| n == 1).count();
        shape[random.range(0..outer_ones as i64 + 1) as usize..].to_vec()
    });
    (out, operands)
}

fn small(random: &mut Random, len: usize) -> Vec<i8> {
    (0..len).map(|_| random.range(-2..3) as i8).collect()
}

macro_rules! kernel_tests {
    ($variant:ident) => {
        mod $variant {
            use super::super::$variant as variant;
            use super::*;

            #[test]
            fn comparisons_give_the_bits_of_the_reference() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let (out, [a, b]) = shapes(random);
                    let shape = Broadcast { a: &a, b: &b, out: &out };
                    let relation = Relation::from_code(random.range(0..4) as u32).unwrap();
                    let mut term =
                        || Term { zero_point: random.range(-3..3) as i32, mult: random.range(1..1 << 31) as i32 };
                    let (term_a, term_b) = (term(), term());
                    let alike = random.range(0..2) == 0;
                    let p = Compare { shape, relation, a: term_a, b: if alike { term_a } else { term_b } };
                    let [a, b] = [&a, &b].map(|s| small(random, elements(s).unwrap()));
                    let mut expected = vec![9; elements(&out).unwrap()];
                    let mut found = expected.clone();
                    reference::compare(&p, &a, &b, &mut expected).unwrap();
                    variant::compare(&p, &a, &b, &mut found).unwrap();
                    assert_eq!(expected, found, "seed {seed}: {p:?}");
                    let [a, b] = [&a, &b].map(|x| x.iter().map(|&x| i16::from(x)).collect::<Vec<_>>());
                    variant::compare(&p, &a, &b, &mut found).unwrap();
                    assert_eq!(expected, found, "seed {seed}: {p:?}");
                    assert!(variant::compare(&p, &a[1..], &b, &mut found).is_none());
                    assert!(variant::compare(&p, &a, &b, &mut found[1..]).is_none());
                }
            }

            #[test]
            fn connectives_and_choice_give_the_bits_of_the_reference() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let (out, shapes) = shapes::<3>(random);
                    let [c, a, b] = &shapes;
                    let connective = Connective::from_code(random.range(0..3) as u32).unwrap();
                    let p = Logic { shape: Broadcast { a: c, b: a, out: &out }, connective };
                    let [x, y, z] = [c, a, b].map(|s| small(random, elements(s).unwrap()));
                    let mut expected = vec![9; elements(&out).unwrap()];
                    let mut found = expected.clone();
                    reference::logic(&p, &x, &y, &mut expected).unwrap();
                    variant::logic(&p, &x, &y, &mut found).unwrap();
                    assert_eq!(expected, found, "seed {seed}: {p:?}");
                    let p = Select { shapes: [c, a, b], out: &out };
                    reference::select(&p, &x, &y, &z, &mut expected).unwrap();
                    variant::select(&p, &x, &y, &z, &mut found).unwrap();
                    assert_eq!(expected, found, "seed {seed}: {p:?}");
                    assert!(variant::select(&p, &x[1..], &y, &z, &mut found).is_none());
                    assert!(variant::select(&p, &x, &y, &z[1..], &mut found).is_none());
                }
            }
        }
    };
}

kernel_tests!(portable);
