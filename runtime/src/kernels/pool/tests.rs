//! Every variant against the reference, bit for bit.

use std::{vec, vec::Vec};

use super::*;
use crate::fixed::MIN_MULTIPLIER;
use crate::kernels::Element;
use crate::kernels::testing::{Random, multiplier, real_result, rounded_once};

/// Random parameters in which every window holds an element.
fn pool<E: Element>(random: &mut Random) -> Pool2d<E> {
    loop {
        let mut pick = |range: std::ops::Range<i64>| [0, 1].map(|_| random.range(range.clone()) as usize);
        let (input, kernel, stride) = (pick(1..9), pick(1..5), pick(1..4));
        let pad = [0, 1].map(|a| random.range(0..kernel[a] as i64) as usize);
        let after = [0, 1].map(|a| random.range(0..kernel[a] as i64) as usize);
        let room = [0, 1].map(|a| (input[a] + pad[a] + after[a]).checked_sub(kernel[a]));
        let [Some(height), Some(width)] = room else { continue };
        let output = [height / stride[0] + 1, width / stride[1] + 1];
        let window = Window { input, output, kernel, stride, dilation: [1, 1], pad };
        return Pool2d {
            batch: random.range(1..3) as usize,
            channels: random.range(1..20) as usize,
            window,
            output: random.output(),
        };
    }
}

fn lens<E>(p: &Pool2d<E>) -> (usize, usize) {
    let area = |[h, w]: [usize; 2]| p.batch * h * w * p.channels;
    (area(p.window.input), area(p.window.output))
}

#[allow(clippy::float_arithmetic)]
fn the_mean_is_within_its_error_bound<E: Element>() {
    for seed in 0..2_000 {
        let random = &mut Random(seed);
        let p = pool::<E>(random);
        let (input, output) = lens(&p);
        let x = random.values::<E>(input);
        let ratio = f64::from(random.range(1..1 << 20) as i32) / f64::from(1 << 18);
        let area = p.window.kernel[0] * p.window.kernel[1];
        let factors: Vec<_> = (1..=area).map(|n| multiplier(ratio / n as f64)).collect();
        let (mult, shift): (Vec<i32>, Vec<u8>) = factors.iter().map(|m| (m.mult, m.shift)).unzip();
        let in_zero_point = random.zero_point::<E>();
        let d = Divisors { mult: &mult, shift: &shift, in_zero_point };
        let mut out = vec![E::MIN; output];
        reference::avg_pool2d(&p, &d, &x, &mut out).unwrap();
        let ([in_h, in_w], [out_h, out_w]) = (p.window.input, p.window.output);
        for (o, &found) in out.iter().enumerate() {
            let (c, ox, oy) = (o % p.channels, o / p.channels % out_w, o / p.channels / out_w % out_h);
            let image = o / (p.channels * out_w * out_h) * in_h;
            let rows = (0..p.window.kernel[0]).filter_map(|i| p.window.tap(0, oy, i));
            let taps =
                rows.flat_map(|y| (0..p.window.kernel[1]).filter_map(move |j| Some((y, p.window.tap(1, ox, j)?))));
            let values: Vec<f64> =
                taps.map(|(y, x_)| f64::from(x[((image + y) * in_w + x_) * p.channels + c].widen())).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let real = real_result(mean - f64::from(in_zero_point), ratio, &p.output);
            let found = f64::from(found.widen());
            assert!((found - real).abs() <= rounded_once::<E>(), "seed {seed}: {found} for {real}");
        }
    }
}

#[test]
fn avg_pool2d_tflite_gives_the_bits_of_the_reference() {
    for seed in 0..2_000 {
        let random = &mut Random(seed);
        let p = pool::<i8>(random);
        let (input, output) = lens(&p);
        let x = random.values(input);
        let (mut expected, mut found) = (vec![0; output], vec![1; output]);
        reference::avg_pool2d_tflite(&p, &x, &mut expected).unwrap();
        super::portable::avg_pool2d_tflite(&p, &x, &mut found, &mut vec![9; p.channels]).unwrap();
        assert_eq!(expected, found, "seed {seed}: {p:?}");
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
            fn max_pool2d_gives_the_bits_of_the_reference() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let p = pool::<$element>(random);
                    let (input, output) = lens(&p);
                    let x = random.values(input);
                    let (mut expected, mut found) = (vec![0; output], vec![1; output]);
                    reference::max_pool2d(&p, &x, &mut expected).unwrap();
                    super::super::$variant::max_pool2d(&p, &x, &mut found).unwrap();
                    assert_eq!(expected, found, "seed {seed}: {p:?}");
                }
            }

            #[test]
            fn avg_pool2d_gives_the_bits_of_the_reference() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let p = pool::<$element>(random);
                    let (input, output) = lens(&p);
                    let x = random.values(input);
                    let area = p.window.kernel[0] * p.window.kernel[1];
                    let factors = if random.range(0..2) == 0 { 1 } else { area };
                    let mult: Vec<i32> =
                        (0..factors).map(|_| random.range(i64::from(MIN_MULTIPLIER)..1 << 31) as i32).collect();
                    let shift: Vec<u8> = (0..factors).map(|_| random.range(29..36) as u8).collect();
                    let in_zero_point = random.zero_point::<$element>();
                    let d = Divisors { mult: &mult, shift: &shift, in_zero_point };
                    let (mut expected, mut found) = (vec![0; output], vec![1; output]);
                    let bytes = super::super::$variant::avg_pool2d_scratch_len(&p).unwrap();
                    let mut sums = vec![9; bytes / size_of::<<$element as Element>::Sum>()];
                    reference::avg_pool2d(&p, &d, &x, &mut expected).unwrap();
                    super::super::$variant::avg_pool2d(&p, &d, &x, &mut found, &mut sums).unwrap();
                    assert_eq!(expected, found, "seed {seed}: {p:?}");
                }
            }

            #[test]
            fn slices_of_wrong_size_do_not_panic() {
                let random = &mut Random(11);
                let p = pool::<$element>(random);
                let d = Divisors { mult: &[1 << 30, 1 << 30], shift: &[31], in_zero_point: 0 };
                for len in 0..24 {
                    let x = random.values(len);
                    super::super::$variant::max_pool2d(&p, &x, &mut vec![0; len]);
                    super::super::$variant::avg_pool2d(&p, &d, &x, &mut vec![0; len], &mut vec![0; len]);
                }
            }
        }
    };
}

kernel_tests!(portable_s8: portable of i8);
kernel_tests!(portable_s16: portable of i16);
kernel_tests!(portable_s32: portable of i32);
