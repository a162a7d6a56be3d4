//! Every variant against the reference, bit for bit; the reference against float.

#![allow(clippy::manual_is_multiple_of, clippy::manual_checked_ops, clippy::needless_range_loop)]

use std::{vec, vec::Vec};

use super::*;
use crate::kernels::rows::{HEADER, WIDE_UNIT, quantize, split};
use crate::kernels::testing::Random;

/// Owned weights, and narrow rows for them.
struct Case {
    bits: u32,
    inputs: usize,
    outputs: usize,
    group: usize,
    data: Vec<u8>,
    scales: Vec<i8>,
    mult: Vec<i32>,
    shift: u8,
    bias: Vec<i32>,
    x: Vec<i16>,
    rows: usize,
}

impl Case {
    fn random(seed: u64) -> Self {
        let random = &mut Random(seed);
        let bits = [8, 4, 2][(seed % 3) as usize];
        let group = if random.range(0..2) == 0 { 0 } else { 16 * random.range(1..3) as usize };
        let inputs = if group == 0 { 16 * random.range(1..8) as usize } else { group * random.range(1..5) as usize };
        let outputs = 2 * random.range(1..12) as usize;
        let rows = random.range(1..3) as usize;
        let groups = if group == 0 { 0 } else { inputs / group };
        let mut x = vec![0; rows * (inputs + HEADER)];
        for row in x.chunks_mut(inputs + HEADER) {
            let magnitude = random.range(4..30) as u32;
            let values: Vec<i32> = (0..inputs).map(|_| (random.next() as i32) >> (32 - magnitude)).collect();
            quantize(&values, WIDE_UNIT, [8, 12, 16][random.range(0..3) as usize], row).unwrap();
        }
        Self {
            bits,
            inputs,
            outputs,
            group,
            data: random.i8s(outputs * inputs * bits as usize / 8).iter().map(|&w| w as u8).collect(),
            scales: random.i8s(outputs * groups),
            mult: (0..outputs).map(|_| random.range(1..1 << 27) as i32).collect(),
            shift: random.range(20..45) as u8,
            bias: if seed % 5 == 0 {
                (0..outputs).map(|_| random.range(-(1 << 20)..1 << 20) as i32).collect()
            } else {
                vec![]
            },
            x,
            rows,
        }
    }

    fn weights(&self) -> Weights<'_> {
        let Self { bits, inputs, outputs, group, data, scales, mult, shift, bias, .. } = self;
        Weights {
            bits: *bits,
            inputs: *inputs,
            outputs: *outputs,
            group: *group,
            data,
            scales,
            mult,
            shift: *shift,
            bias,
        }
    }
}

/// The gate table of SiLU.
#[allow(clippy::float_arithmetic)]
fn silu() -> Vec<i16> {
    let logistic = |i: usize| 1.0 / (1.0 + (-(i as f64) / 32.0).exp());
    (0..GATE_LEN).map(|i| (logistic(i) * 32_768.0).round().min(32_767.0) as i16).collect()
}

#[test]
#[allow(clippy::float_arithmetic)]
fn the_reference_is_within_its_error_bound() {
    for seed in 0..600 {
        let case = Case::random(seed);
        let w = case.weights();
        let mut out = vec![0; case.rows * case.outputs];
        reference::row_linear(&w, &case.x, &mut out, false).unwrap();
        for (x, out) in case.x.chunks(case.inputs + HEADER).zip(out.chunks(case.outputs)) {
            let (scale, x) = split(x).unwrap();
            for o in 0..case.outputs {
                let dot: f64 = (0..case.inputs)
                    .map(|i| {
                        let scale =
                            if case.group == 0 { 1.0 } else { f64::from(case.scales[o * w.groups() + i / case.group]) };
                        f64::from(reference::value(&w, o, i)) * scale * f64::from(x[i])
                    })
                    .sum();
                let factor = f64::from(case.mult[o])
                    * f64::from(scale.mant)
                    * f64::from(-scale.shift - i32::from(case.shift)).exp2();
                let bias = case.bias.get(o).map_or(0.0, |&b| f64::from(b));
                if dot.abs() >= 2_147_483_648.0 {
                    continue;
                }
                let real = ((dot * factor).clamp(-2_147_483_648.0, 2_147_483_647.0) + bias)
                    .clamp(-2_147_483_648.0, 2_147_483_647.0);
                assert!((f64::from(out[o]) - real).abs() <= 0.5 + real.abs() / f64::from(1 << 30), "seed {seed}");
            }
        }
    }
}

#[test]
#[allow(clippy::float_arithmetic)]
fn silu_is_within_its_error_bound() {
    let table = silu();
    let silu = Activation::Gate(&table);
    for i in -2_000_000..2_000_000_i32 {
        let x = f64::from(i * 7) / 65_536.0;
        let error = (f64::from(silu.apply(i * 7)) / 65_536.0 - x / (1.0 + (-x).exp())).abs();
        assert!(error <= 2.0 * x.abs() / 32_768.0 + 1.0 / 65_536.0, "{x}: {error}");
    }
    assert_eq!(silu.apply(i32::MIN).signum(), -1);
    assert_eq!(Activation::SquaredRelu.apply(3 << 15), 9 << 14);
    assert_eq!((Activation::Relu.apply(-5), Activation::Relu.apply(5)), (0, 5));
}

macro_rules! kernel_tests {
    ($variant:ident) => {
        mod $variant {
            use super::*;

            #[test]
            fn products_give_the_bits_of_the_reference() {
                for seed in 0..1_500 {
                    let case = Case::random(seed);
                    let random = &mut Random(seed + 77);
                    let add = seed % 2 == 0;
                    let mut expected: Vec<i32> = (0..case.rows * case.outputs).map(|_| random.next() as i32).collect();
                    let mut found = expected.clone();
                    reference::row_linear(&case.weights(), &case.x, &mut expected, add).unwrap();
                    let mut scratch = vec![0; case.weights().halves()];
                    super::super::$variant::row_linear(&case.weights(), &case.x, &mut found, add, &mut scratch)
                        .unwrap();
                    assert_eq!(expected, found, "seed {seed}: {:?}", case.weights());
                }
            }

            #[test]
            fn mlps_give_the_bits_of_the_reference() {
                let table = silu();
                for seed in 0..600 {
                    let case = Case::random(seed);
                    let gated = seed % 4 < 2;
                    let activation =
                        [Activation::Gate(&table), Activation::Relu, Activation::SquaredRelu][(seed % 3) as usize];
                    let p = MlpUp { activation, gated, bits: 8 + (seed % 9) as u32 };
                    let results = if gated { case.outputs / 2 } else { case.outputs };
                    let out_len = HEADER + results + (seed % 7) as usize;
                    let mut expected = vec![5; case.rows * out_len];
                    let mut found = expected.clone();
                    let (mut hidden, mut scratch) = (vec![0; results], vec![0; case.weights().halves()]);
                    reference::mlp_up(&p, &case.weights(), &case.x, &mut expected, out_len, &mut hidden).unwrap();
                    super::super::$variant::mlp_up(
                        &p,
                        &case.weights(),
                        &case.x,
                        &mut found,
                        (&mut hidden, &mut scratch),
                    )
                    .unwrap();
                    assert_eq!(expected, found, "seed {seed}: {:?}", case.weights());
                }
            }

            #[test]
            fn slices_of_wrong_size_do_not_panic() {
                let case = Case::random(8);
                for len in 0..24 {
                    let w = Weights { data: &case.data[..case.data.len().min(len * 5)], ..case.weights() };
                    super::super::$variant::row_linear(
                        &w,
                        &case.x[..case.x.len().min(len * 3)],
                        &mut vec![0; len],
                        true,
                        &mut vec![0; len],
                    );
                    let p = MlpUp { activation: Activation::Gate(&[1, 2, 3]), gated: true, bits: 8 };
                    super::super::$variant::mlp_up(
                        &p,
                        &w,
                        &case.x,
                        &mut vec![0; len],
                        (&mut vec![0; len], &mut vec![0; len]),
                    );
                }
            }
        }
    };
}

kernel_tests!(portable);
kernel_tests!(dsp);
kernel_tests!(quads);
kernel_tests!(native);
