//! Every variant against the reference, bit for bit, and the reference against real numbers.

use std::{vec, vec::Vec};

use super::*;
use crate::fixed::MIN_MULTIPLIER;
use crate::kernels::testing::{Random, multiplier};

/// Owned [`Recurrence`], with operands.
struct Case<E> {
    steps: usize,
    batch: usize,
    inputs: usize,
    hidden: usize,
    weights: [Vec<i8>; 2],
    mult: [Vec<i32>; 2],
    shift: [Vec<u8>; 2],
    bias: Vec<i32>,
    operands: [Vec<E>; 3],
}

impl<E: Element> Case<E> {
    fn random(random: &mut Random, gates: usize) -> Self {
        let mut pick = |range: std::ops::Range<i64>| random.range(range) as usize;
        let [steps, batch, inputs, hidden] = [pick(1..5), pick(1..3), pick(1..9), pick(1..7)];
        let rows = gates * hidden;
        let mut mult = || (0..rows).map(|_| random.range(i64::from(MIN_MULTIPLIER)..1 << 31) as i32).collect();
        let mult = [mult(), mult()];
        // Sums of products of E come to a few ones in Q12.20.
        let wide = 8 * size_of::<E>() as i64;
        let mut shift = || (0..rows).map(|_| (random.range(20..26) + wide) as u8).collect();
        Self {
            steps,
            batch,
            inputs,
            hidden,
            mult,
            shift: [shift(), shift()],
            weights: [inputs, hidden].map(|columns| random.i8s(rows * columns)),
            bias: (0..rows.max(4 * hidden)).map(|_| random.range(-(2 << 20)..2 << 20) as i32).collect(),
            operands: [steps * batch * inputs, batch * hidden, batch * hidden].map(|len| random.values(len)),
        }
    }

    fn params(&self, random: &mut Random) -> Recurrence<'_> {
        let rows = |i: usize| Rows { weights: &self.weights[i], mult: &self.mult[i], shift: &self.shift[i] };
        let wide = 8 * size_of::<E>() as i32;
        Recurrence {
            steps: self.steps,
            batch: self.batch,
            inputs: self.inputs,
            hidden: self.hidden,
            reverse: random.range(0..2) == 1,
            input: rows(0),
            state: rows(1),
            bias: &self.bias,
            x_zero_point: random.zero_point::<E>(),
            h_zero_point: random.zero_point::<E>(),
            y_zero_point: random.zero_point::<E>(),
            h_in: factor(random, 1),
            h_out: factor(random, wide - 31),
        }
    }

    fn lens(&self) -> (usize, usize) {
        (self.steps * self.batch * self.hidden, self.batch * self.hidden)
    }

    fn operands(&self) -> [&[E]; 3] {
        self.operands.each_ref().map(Vec::as_slice)
    }
}

/// A factor near 2^exponent.
fn factor(random: &mut Random, exponent: i32) -> Multiplier {
    let mult = random.range(i64::from(MIN_MULTIPLIER)..1 << 31) as i32;
    Multiplier { mult, shift: (31 - exponent) as u8 }
}

fn cell(random: &mut Random, wide: i32) -> CellState {
    CellState {
        in_zero_point: if wide == 8 { random.range(-128..128) as i32 } else { 0 },
        c_in: factor(random, 22 - wide),
        out_zero_point: if wide == 8 { random.range(-128..128) as i32 } else { 0 },
        c_out: factor(random, wide - 22),
    }
}

/// An LSTM of one input and one state in real numbers.
#[test]
#[allow(clippy::float_arithmetic)]
fn the_reference_follows_real_numbers() {
    let (weight, scale) = (0.9 / 127.0, 1.0 / 16384.0);
    let to_q20 = multiplier(weight * scale * f64::from(1 << 20));
    let (mult, shift) = (vec![to_q20.mult; 4], vec![to_q20.shift; 4]);
    let (w, r) = ([127, -60, 30, 90], [-40, 100, 127, 20]);
    let rows = |weights| Rows { weights, mult: &mult, shift: &shift };
    let x: Vec<i16> = (0..50).map(|i| ((f64::from(i) * 0.7).sin() * 16384.0) as i16).collect();
    let p = Recurrence {
        steps: 50,
        batch: 1,
        inputs: 1,
        hidden: 1,
        reverse: false,
        input: rows(&w),
        state: rows(&r),
        bias: &[0, 1 << 19, 1 << 20, 0],
        x_zero_point: 0,
        h_zero_point: 0,
        y_zero_point: 0,
        h_in: multiplier(1.0),
        h_out: multiplier(16384.0 / f64::from(1 << 30)),
    };
    let unit = f64::from(1 << 20);
    let state = CellState {
        in_zero_point: 0,
        c_in: multiplier(unit / 4096.0),
        out_zero_point: 0,
        c_out: multiplier(4096.0 / unit),
    };
    let (mut y, mut c) = (vec![0_i16; 50], vec![0_i16]);
    with_scratch(&p, 4, true, |s| reference::lstm(&p, &state, [&x, &[1000], &[2000]], &mut y, &mut c, s));
    let (mut h, mut cell) = (1000.0 / 16384.0, 2000.0 / 4096.0);
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    for (i, &y) in y.iter().enumerate() {
        let bias = [0.0, 0.5, 1.0, 0.0];
        let a =
            [0, 1, 2, 3].map(|g| weight * (f64::from(w[g]) * f64::from(x[i]) * scale + f64::from(r[g]) * h) + bias[g]);
        cell = sigmoid(a[2]) * cell + sigmoid(a[0]) * a[3].tanh();
        h = sigmoid(a[1]) * cell.tanh();
        assert!((f64::from(y) - h * 16384.0).abs() < 2.0, "step {i}: {y} for {}", h * 16384.0);
    }
    assert!((f64::from(c[0]) - cell * 4096.0).abs() < 1.0);
}

/// Calls `run` with scratch memory.
fn with_scratch<E: Element>(p: &Recurrence, gates: usize, exact: bool, run: impl FnOnce(Scratch<'_, E>) -> Option<()>) {
    let [words, elements] = scratch_lens(p, gates, exact).unwrap();
    let (mut words, mut elements) = (vec![5; words], vec![E::MAX; elements]);
    run(Scratch { words: &mut words, elements: &mut elements }).unwrap();
}

macro_rules! kernel_tests {
    ($variant:ident, $element:ident, $name:ident) => {
        mod $name {
            use super::*;

            #[test]
            fn lstm_gives_the_bits_of_the_reference() {
                for seed in 0..500 {
                    let random = &mut Random(seed);
                    let case = Case::<$element>::random(random, 4);
                    let p = case.params(random);
                    let cell = cell(random, 8 * size_of::<$element>() as i32);
                    let (outputs, states) = case.lens();
                    let mut expected = (vec![0; outputs], vec![0; states]);
                    let mut found = (vec![1; outputs], vec![1; states]);
                    let operands = case.operands();
                    with_scratch(&p, 4, true, |s| {
                        reference::lstm(&p, &cell, operands, &mut expected.0, &mut expected.1, s)
                    });
                    with_scratch(&p, 4, true, |s| $variant::lstm(&p, &cell, operands, &mut found.0, &mut found.1, s));
                    assert_eq!(expected, found, "seed {seed}: {p:?}");
                }
            }

            #[test]
            fn gru_gives_the_bits_of_the_reference() {
                for seed in 0..500 {
                    let random = &mut Random(seed);
                    let case = Case::<$element>::random(random, 3);
                    let wide = 8 * size_of::<$element>() as i32;
                    let p = Recurrence {
                        h_in: factor(random, 25 - wide),
                        h_out: factor(random, wide - 25),
                        ..case.params(random)
                    };
                    let (outputs, _) = case.lens();
                    let [x, h, _] = case.operands();
                    for linear in [false, true] {
                        let (mut expected, mut found) = (vec![0; outputs], vec![1; outputs]);
                        with_scratch(&p, 4, true, |s| reference::gru(&p, linear, [x, h], &mut expected, s));
                        with_scratch(&p, 4, true, |s| $variant::gru(&p, linear, [x, h], &mut found, s));
                        assert_eq!(expected, found, "seed {seed}, linear {linear}: {p:?}");
                    }
                }
            }

            #[test]
            fn rnn_gives_the_bits_of_the_reference() {
                for seed in 0..500 {
                    let random = &mut Random(seed);
                    let case = Case::<$element>::random(random, 1);
                    let p = case.params(random);
                    let (outputs, _) = case.lens();
                    let [x, h, _] = case.operands();
                    for relu in [false, true] {
                        let (mut expected, mut found) = (vec![0; outputs], vec![1; outputs]);
                        with_scratch(&p, 1, false, |s| reference::rnn(&p, relu, [x, h], &mut expected, s));
                        with_scratch(&p, 1, false, |s| $variant::rnn(&p, relu, [x, h], &mut found, s));
                        assert_eq!(expected, found, "seed {seed}, relu {relu}: {p:?}");
                    }
                }
            }

            #[test]
            fn slices_of_wrong_size_do_not_panic() {
                let random = &mut Random(3);
                let case = Case::<$element>::random(random, 4);
                let p = case.params(random);
                let cell = cell(random, 8);
                let [x, h, c] = case.operands();
                for len in 0..20 {
                    let scratch = || (vec![0; len], vec![0; len]);
                    let (mut y, mut last) = (vec![0; len], vec![0; len]);
                    let cut = |s: &[$element]| s[..s.len().min(len)].to_vec();
                    let (mut words, mut elements) = scratch();
                    let s = Scratch { words: &mut words, elements: &mut elements };
                    $variant::lstm(&p, &cell, [&cut(x), &cut(h), &cut(c)], &mut y, &mut last, s);
                    let (mut words, mut elements) = scratch();
                    let s = Scratch { words: &mut words, elements: &mut elements };
                    $variant::gru(&p, false, [&cut(x), &cut(h)], &mut y, s);
                    let (mut words, mut elements) = scratch();
                    let s = Scratch { words: &mut words, elements: &mut elements };
                    $variant::rnn(&p, false, [&cut(x), &cut(h)], &mut y, s);
                }
            }
        }
    };
}

kernel_tests!(portable, i8, portable_int8);
kernel_tests!(portable, i16, portable_int16);
