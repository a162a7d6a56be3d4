//! Every variant against the reference, bit for bit.

use std::{vec, vec::Vec};

use super::*;
use crate::kernels::testing::Random;

/// Few different values, so that many are equal.
fn values(random: &mut Random, len: usize) -> Vec<i16> {
    (0..len).map(|_| random.range(-4..5) as i16).collect()
}

fn along(random: &mut Random) -> Along {
    let [outer, len, inner] = [0; 3].map(|_| random.range(1..7) as usize);
    Along { outer, len, inner }
}

macro_rules! kernel_tests {
    ($variant:ident) => {
        mod $variant {
            use super::super::$variant as variant;
            use super::*;

            #[test]
            fn places_of_extremes_give_the_bits_of_the_reference() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let (along, largest) = (along(random), random.range(0..2) == 0);
                    let x = values(random, along.outer * along.len * along.inner);
                    let p = ArgExtreme { along, largest, last: random.range(0..2) == 0 };
                    let mut expected = vec![-1; along.outer * along.inner];
                    let mut found = expected.clone();
                    reference::arg_extreme(&p, &x, &mut expected).unwrap();
                    variant::arg_extreme(&p, &x, &mut found).unwrap();
                    assert_eq!(expected, found, "seed {seed}: {p:?}");
                    assert!(variant::arg_extreme(&p, &x[1..], &mut found).is_none());
                    let p = TopK { along, k: random.range(1..along.len as i64 + 1) as usize, largest };
                    let mut expected = vec![-1; along.outer * p.k * along.inner];
                    let mut found = expected.clone();
                    reference::top_k(&p, &x, &mut expected).unwrap();
                    variant::top_k(&p, &x, &mut found).unwrap();
                    assert_eq!(expected, found, "seed {seed}: {p:?}");
                    assert!(variant::top_k(&p, &x, &mut found[1..]).is_none());
                }
            }

            #[test]
            fn extremes_give_the_bits_of_the_reference() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let shape: Vec<u32> = (0..random.range(0..6)).map(|_| random.range(1..5) as u32).collect();
                    let axes = random.range(0..1 << shape.len()) as u32;
                    let p = Extreme { shape: &shape, axes, largest: random.range(0..2) == 0 };
                    let kept = (0..shape.len()).filter(|&axis| !p.reduces(axis));
                    let x = values(random, shape.iter().product::<u32>() as usize);
                    let mut expected = vec![99; kept.map(|axis| shape[axis] as usize).product()];
                    let mut found = expected.clone();
                    reference::extreme(&p, &x, &mut expected).unwrap();
                    variant::extreme(&p, &x, &mut found).unwrap();
                    assert_eq!(expected, found, "seed {seed}: {p:?}");
                }
            }
        }
    };
}

kernel_tests!(portable);
