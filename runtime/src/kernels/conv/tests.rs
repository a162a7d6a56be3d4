//! Every variant against the reference, bit for bit.

use std::{vec, vec::Vec};

use super::*;
use crate::kernels::Element;
use crate::kernels::testing::{Random, Requant};

/// Output length along one axis.
fn out_len(input: usize, kernel: usize, stride: usize, dilation: usize, pads: usize) -> Option<usize> {
    (input + pads).checked_sub((kernel - 1) * dilation + 1).map(|room| room / stride + 1)
}

/// A random window whose output is not empty; any padding below the kernel's reach, unequal on both sides.
fn window(random: &mut Random) -> Window {
    loop {
        let mut pick = |range: std::ops::Range<i64>| [0, 1].map(|_| random.range(range.clone()) as usize);
        let (input, kernel, stride, dilation) = (pick(1..9), pick(1..5), pick(1..4), pick(1..3));
        let pad = [0, 1].map(|a| random.range(0..(kernel[a] * dilation[a]) as i64) as usize);
        let after = [0, 1].map(|a| random.range(0..(kernel[a] * dilation[a]) as i64) as usize);
        let output = [0, 1].map(|a| out_len(input[a], kernel[a], stride[a], dilation[a], pad[a] + after[a]));
        if let [Some(height), Some(width)] = output {
            return Window { input, output: [height, width], kernel, stride, dilation, pad };
        }
    }
}

macro_rules! kernel_tests {
    ($name:ident: $variant:ident of $element:ty) => {
        mod $name {
            use super::*;

            #[test]
            fn conv2d_gives_the_bits_of_the_reference() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let groups = random.range(1..4) as usize;
                    let (group_in, group_out) = (random.range(1..10) as usize, random.range(1..10) as usize);
                    let window = window(random);
                    let depth = window.kernel[0] * window.kernel[1] * group_in;
                    let requant = Requant::<$element>::random(random, group_out * groups, depth);
                    let p = Conv2d {
                        batch: random.range(1..3) as usize,
                        in_channels: group_in * groups,
                        out_channels: group_out * groups,
                        groups,
                        window,
                        pad_value: random.value(),
                        requant: requant.view(),
                    };
                    let x = random.values::<$element>(p.batch * window.input[0] * window.input[1] * p.in_channels);
                    let w = random.i8s(p.out_channels * depth);
                    let mut expected = vec![0; p.batch * window.output[0] * window.output[1] * p.out_channels];
                    let mut found = expected.clone();
                    let bytes = super::super::$variant::conv2d_scratch_len(&p).unwrap();
                    let mut scratch: Vec<$element> = vec![99; bytes / size_of::<$element>()];
                    reference::conv2d(&p, &x, &w, &mut expected).unwrap();
                    super::super::$variant::conv2d(&p, &x, &w, &mut found, &mut scratch).unwrap();
                    assert_eq!(expected, found, "seed {seed}: {p:?}");
                }
            }

            #[test]
            fn depthwise_conv2d_gives_the_bits_of_the_reference() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let window = window(random);
                    let (in_channels, multiplier) = (random.range(1..20) as usize, random.range(1..4) as usize);
                    let channels = in_channels * multiplier;
                    let requant = Requant::<$element>::random(random, channels, window.kernel[0] * window.kernel[1]);
                    let p = DepthwiseConv2d {
                        batch: random.range(1..3) as usize,
                        in_channels,
                        multiplier,
                        window,
                        pad_value: random.value(),
                        requant: requant.view(),
                    };
                    let x = random.values::<$element>(p.batch * window.input[0] * window.input[1] * in_channels);
                    let w = random.i8s(window.kernel[0] * window.kernel[1] * channels);
                    let mut expected = vec![0; p.batch * window.output[0] * window.output[1] * channels];
                    let mut found = expected.clone();
                    let bytes = super::super::$variant::depthwise_conv2d_scratch_len(&p).unwrap();
                    let mut acc = vec![0; bytes / size_of::<<$element as Element>::Sum>()];
                    reference::depthwise_conv2d(&p, &x, &w, &mut expected).unwrap();
                    super::super::$variant::depthwise_conv2d(&p, &x, &w, &mut found, &mut acc).unwrap();
                    assert_eq!(expected, found, "seed {seed}: {p:?}");
                }
            }

            #[test]
            fn slices_of_wrong_size_do_not_panic() {
                let random = &mut Random(7);
                let requant = Requant::<$element>::random(random, 4, 9);
                let window = window(random);
                let p = Conv2d {
                    batch: 1,
                    in_channels: 2,
                    out_channels: 4,
                    groups: 1,
                    window,
                    pad_value: 0,
                    requant: requant.view(),
                };
                for len in 0..8 {
                    let (x, w) = (random.values(len), random.i8s(len));
                    super::super::$variant::conv2d(&p, &x, &w, &mut [0; 100], &mut [0; 8][..len]);
                }
            }
        }
    };
}

kernel_tests!(portable_s8: portable of i8);
kernel_tests!(portable_s16: portable of i16);
