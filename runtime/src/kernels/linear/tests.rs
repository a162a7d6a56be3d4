//! Every variant against the reference, bit for bit.

use std::vec;

use super::*;
use crate::kernels::testing::{Random, Requant};

macro_rules! kernel_tests {
    ($variant:ident) => {
        mod $variant {
            use super::*;

            #[test]
            fn fully_connected_gives_the_bits_of_the_reference() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let [rows, inputs, outputs] = [1..4, 1..70, 1..20].map(|r| random.range(r) as usize);
                    let requant = Requant::random(random, outputs, inputs);
                    let p = FullyConnected { rows, inputs, outputs, requant: requant.view() };
                    let (x, w) = (random.i8s(rows * inputs), random.i8s(outputs * inputs));
                    let mut expected = vec![0; rows * outputs];
                    let mut found = expected.clone();
                    reference::fully_connected_s8(&p, &x, &w, &mut expected).unwrap();
                    super::super::$variant::fully_connected_s8(&p, &x, &w, &mut found).unwrap();
                    assert_eq!(expected, found, "seed {seed}: {p:?}");
                }
            }

            #[test]
            fn slices_of_wrong_size_do_not_panic() {
                let random = &mut Random(3);
                let requant = Requant::random(random, 5, 7);
                let p = FullyConnected { rows: 2, inputs: 7, outputs: 5, requant: requant.view() };
                for len in 0..16 {
                    let (x, w) = (random.i8s(len), random.i8s(2 * len));
                    super::super::$variant::fully_connected_s8(&p, &x, &w, &mut vec![0; len]);
                }
            }
        }
    };
}

kernel_tests!(portable);
