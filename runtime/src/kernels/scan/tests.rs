//! Every variant against the reference, bit for bit.

use std::{vec, vec::Vec};

use super::*;
use crate::fixed::MIN_MULTIPLIER;
use crate::kernels::Element;
use crate::kernels::testing::Random;

fn compare<E: Element>(kernel: impl Fn(&CumulativeSum<E>, &[E], &mut [E]) -> Option<()>) {
    for seed in 0..2_000 {
        let random = &mut Random(seed);
        let [outer, len, inner] = [0; 3].map(|_| random.range(1..7) as usize);
        let mult = random.range(i64::from(MIN_MULTIPLIER)..1 << 31) as i32;
        let zero = |r: &mut Random| if size_of::<E>() == 1 { r.range(-128..128) as i32 } else { 0 };
        let p = CumulativeSum {
            along: Along { outer, len, inner },
            exclusive: random.range(0..2) == 0,
            reverse: random.range(0..2) == 0,
            zero_point: zero(random),
            multiplier: Multiplier { mult, shift: random.range(28..36) as u8 },
            output: Output { zero_point: zero(random), min: E::MIN, max: E::MAX },
        };
        let x: Vec<E> = (0..outer * len * inner).map(|_| E::saturate(random.range(-40_000..40_000) as i32)).collect();
        let mut expected = vec![E::default(); x.len()];
        let mut found = expected.clone();
        reference::cumulative_sum(&p, &x, &mut expected).unwrap();
        kernel(&p, &x, &mut found).unwrap();
        assert_eq!(expected, found, "seed {seed}: {p:?}");
        assert!(kernel(&p, &x[1..], &mut found).is_none());
    }
}

macro_rules! kernel_tests {
    ($variant:ident) => {
        mod $variant {
            use super::*;

            #[test]
            fn running_sums_give_the_bits_of_the_reference() {
                compare::<i8>(super::super::$variant::cumulative_sum);
                compare::<i16>(super::super::$variant::cumulative_sum);
            }
        }
    };
}

kernel_tests!(portable);
