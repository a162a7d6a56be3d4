//! Every variant against the reference, bit for bit.

use std::{vec, vec::Vec};

use super::*;
use crate::fixed::Multiplier;
use crate::kernels::testing::{ROUNDED_ONCE, Random, Requant, multiplier, real_result};

#[test]
#[allow(clippy::float_arithmetic)]
fn the_reference_is_within_its_error_bound() {
    for seed in 0..2_000 {
        let random = &mut Random(seed);
        let [inputs, outputs] = [1..70, 1..10].map(|r| random.range(r) as usize);
        let mut requant = Requant::random(random, outputs, inputs);
        let factors: Vec<f64> =
            (0..outputs).map(|_| f64::from(random.range(1..1 << 20) as i32) / (1_u64 << 30) as f64).collect();
        for (o, &factor) in factors.iter().enumerate() {
            Multiplier { mult: requant.mult[o], shift: requant.shift[o] } = multiplier(factor);
        }
        let p = FullyConnected { rows: 1, inputs, outputs, requant: requant.view() };
        let (x, w) = (random.i8s(inputs), random.i8s(outputs * inputs));
        let mut out = vec![0; outputs];
        reference::fully_connected_s8(&p, &x, &w, &mut out).unwrap();
        for (o, w) in w.chunks(inputs).enumerate() {
            let dot: f64 = x.iter().zip(w).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
            let real = real_result(dot + f64::from(requant.bias[o]), factors[o], &requant.output);
            assert!((f64::from(out[o]) - real).abs() <= ROUNDED_ONCE, "seed {seed}: {} for {real}", out[o]);
        }
    }
}

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
