//! Every variant against the reference, bit for bit.

use std::{vec, vec::Vec};

use super::*;
use crate::fixed::MIN_MULTIPLIER;
use crate::kernels::testing::{ROUNDED_ONCE, Random, multiplier, real_result};

/// Random parameters in which every window holds an element.
fn pool(random: &mut Random) -> Pool2d {
    loop {
        let mut pick = |range: std::ops::Range<i64>| [0, 1].map(|_| random.range(range.clone()) as usize);
        let (input, kernel, stride) = (pick(1..9), pick(1..5), pick(1..4));
        let pad = [0, 1].map(|a| random.range(0..kernel[a] as i64) as usize);
        let after = [0, 1].map(|a| random.range(0..kernel[a] as i64) as usize);
        let room = [0, 1].map(|a| (input[a] + pad[a] + after[a]).checked_sub(kernel[a]));
        let [Some(height), Some(width)] = room else { continue };
        let output = [height / stride[0] + 1, width / stride[1] + 1];
        let window = Window { input, output, kernel, stride, dilation: [1, 1], pad };
        let (a, b) = (random.i8s(1)[0], random.i8s(1)[0]);
        return Pool2d {
            batch: random.range(1..3) as usize,
            channels: random.range(1..20) as usize,
            window,
            output: Output { zero_point: random.range(-128..128) as i32, min: a.min(b), max: a.max(b) },
        };
    }
}

fn lens(p: &Pool2d) -> (usize, usize) {
    let area = |[h, w]: [usize; 2]| p.batch * h * w * p.channels;
    (area(p.window.input), area(p.window.output))
}

#[test]
#[allow(clippy::float_arithmetic)]
fn the_mean_is_within_its_error_bound() {
    for seed in 0..2_000 {
        let random = &mut Random(seed);
        let p = pool(random);
        let (input, output) = lens(&p);
        let x = random.i8s(input);
        let ratio = f64::from(random.range(1..1 << 20) as i32) / f64::from(1 << 18);
        let area = p.window.kernel[0] * p.window.kernel[1];
        let factors: Vec<_> = (1..=area).map(|n| multiplier(ratio / n as f64)).collect();
        let (mult, shift): (Vec<i32>, Vec<u8>) = factors.iter().map(|m| (m.mult, m.shift)).unzip();
        let in_zero_point = random.range(-128..128) as i32;
        let d = Divisors { mult: &mult, shift: &shift, in_zero_point };
        let mut out = vec![0; output];
        reference::avg_pool2d_s8(&p, &d, &x, &mut out).unwrap();
        let ([in_h, in_w], [out_h, out_w]) = (p.window.input, p.window.output);
        for (o, &found) in out.iter().enumerate() {
            let (c, ox, oy) = (o % p.channels, o / p.channels % out_w, o / p.channels / out_w % out_h);
            let image = o / (p.channels * out_w * out_h) * in_h;
            let rows = (0..p.window.kernel[0]).filter_map(|i| p.window.tap(0, oy, i));
            let taps =
                rows.flat_map(|y| (0..p.window.kernel[1]).filter_map(move |j| Some((y, p.window.tap(1, ox, j)?))));
            let values: Vec<f64> =
                taps.map(|(y, x_)| f64::from(x[((image + y) * in_w + x_) * p.channels + c])).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let real = real_result(mean - f64::from(in_zero_point), ratio, &p.output);
            assert!((f64::from(found) - real).abs() <= ROUNDED_ONCE, "seed {seed}: {found} for {real}");
        }
    }
}

macro_rules! kernel_tests {
    ($variant:ident) => {
        mod $variant {
            use super::*;

            #[test]
            fn max_pool2d_gives_the_bits_of_the_reference() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let p = pool(random);
                    let (input, output) = lens(&p);
                    let x = random.i8s(input);
                    let (mut expected, mut found) = (vec![0; output], vec![1; output]);
                    reference::max_pool2d_s8(&p, &x, &mut expected).unwrap();
                    super::super::$variant::max_pool2d_s8(&p, &x, &mut found).unwrap();
                    assert_eq!(expected, found, "seed {seed}: {p:?}");
                }
            }

            #[test]
            fn avg_pool2d_gives_the_bits_of_the_reference() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let p = pool(random);
                    let (input, output) = lens(&p);
                    let x = random.i8s(input);
                    let area = p.window.kernel[0] * p.window.kernel[1];
                    let factors = if random.range(0..2) == 0 { 1 } else { area };
                    let mult: Vec<i32> =
                        (0..factors).map(|_| random.range(i64::from(MIN_MULTIPLIER)..1 << 31) as i32).collect();
                    let shift: Vec<u8> = (0..factors).map(|_| random.range(29..36) as u8).collect();
                    let in_zero_point = random.range(-128..128) as i32;
                    let d = Divisors { mult: &mult, shift: &shift, in_zero_point };
                    let (mut expected, mut found) = (vec![0; output], vec![1; output]);
                    let mut sums = vec![9; super::super::$variant::avg_pool2d_s8_scratch_len(&p).unwrap() / 4];
                    reference::avg_pool2d_s8(&p, &d, &x, &mut expected).unwrap();
                    super::super::$variant::avg_pool2d_s8(&p, &d, &x, &mut found, &mut sums).unwrap();
                    assert_eq!(expected, found, "seed {seed}: {p:?}");
                }
            }

            #[test]
            fn slices_of_wrong_size_do_not_panic() {
                let random = &mut Random(11);
                let p = pool(random);
                let d = Divisors { mult: &[1 << 30, 1 << 30], shift: &[31], in_zero_point: 0 };
                for len in 0..24 {
                    let x = random.i8s(len);
                    super::super::$variant::max_pool2d_s8(&p, &x, &mut vec![0; len]);
                    super::super::$variant::avg_pool2d_s8(&p, &d, &x, &mut vec![0; len], &mut vec![0; len]);
                }
            }
        }
    };
}

kernel_tests!(portable);
