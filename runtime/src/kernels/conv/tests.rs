//! Every variant against the reference, bit for bit.

use std::{vec, vec::Vec};

use super::*;
use crate::kernels::Element;
use crate::kernels::Unary;
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
                    let bytes = $variant::conv2d_scratch_len(&p).unwrap();
                    let mut scratch: Vec<$element> = vec![99; bytes / size_of::<$element>()];
                    reference::conv2d(&p, &x, &w, &mut expected).unwrap();
                    $variant::conv2d(&p, &x, &w, &mut found, &mut scratch).unwrap();
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
                    let bytes = $variant::depthwise_conv2d_scratch_len(&p).unwrap();
                    let mut acc = vec![0; bytes / size_of::<<$element as Element>::Sum>()];
                    reference::depthwise_conv2d(&p, &x, &w, &mut expected).unwrap();
                    $variant::depthwise_conv2d(&p, &x, &w, &mut found, &mut acc).unwrap();
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
                    $variant::conv2d(&p, &x, &w, &mut [0; 100], &mut [0; 8][..len]);
                }
            }
        }
    };
}

/// Input and output apart, and the output as far over the input as it may be.
fn every_place<E: Element>(
    p: &Conv2d<E>,
    x: &[E],
    out: &mut [E],
    mut run: impl FnMut(Unary<'_, E>) -> Option<()>,
) -> Option<()> {
    run(Unary::Apart(x, out))?;
    if let Some(distance) = super::overlap(p.batch, &p.window, p.in_channels, p.out_channels) {
        let (x_range, y_range) = (distance..distance + x.len(), 0..out.len());
        let mut memory = vec![E::default(); x_range.end.max(y_range.end)];
        memory[x_range.clone()].copy_from_slice(x);
        run(Unary::Overlapping { memory: &mut memory, x: x_range, y: y_range.clone() })?;
        assert_eq!(&memory[y_range], out, "overlapping");
    }
    Some(())
}

mod portable {
    pub(super) use super::super::portable::{conv2d_scratch_len, depthwise_conv2d, depthwise_conv2d_scratch_len};
    use super::*;

    pub(super) fn conv2d<E: Element>(p: &Conv2d<E>, x: &[E], w: &[i8], out: &mut [E], scratch: &mut [E]) -> Option<()> {
        every_place(p, x, out, |operands| super::super::portable::conv2d(p, operands, w, scratch))
    }
}

/// int8 variants, all with the scratch memory that they wish for, and with the least.
mod dsp {
    pub(super) use super::portable::{conv2d_scratch_len, depthwise_conv2d_scratch_len};
    use super::*;

    pub(super) fn conv2d(p: &Conv2d<i8>, x: &[i8], w: &[i8], out: &mut [i8], least: &mut [i8]) -> Option<()> {
        let mut other = out.to_vec();
        let mut scratch = crate::Aligned([0; 1 << 15]);
        let mut run =
            |operands: Unary<'_, i8>, len: usize| super::super::dsp::conv2d(p, operands, w, scratch.0.get_mut(..len)?);
        every_place(p, x, &mut other, |operands| run(operands, least.len()))?;
        every_place(p, x, out, |operands| run(operands, 1 << 15))?;
        assert_eq!(other, out);
        Some(())
    }

    pub(super) fn depthwise_conv2d(
        p: &DepthwiseConv2d<i8>,
        x: &[i8],
        w: &[i8],
        out: &mut [i8],
        least: &mut [i32],
    ) -> Option<()> {
        use super::super::planar::{applies, applies_in_place, depthwise_conv2d, scratch_len, wished_scratch};
        let quads = super::super::quads::depthwise_conv2d(p, x, w, out, least);
        assert_eq!(quads.is_some(), p.multiplier == 1 && p.in_channels.is_multiple_of(4));
        if !applies(&p.window, p.multiplier) {
            return match quads {
                Some(()) => Some(()),
                None => portable::depthwise_conv2d(p, x, w, out, least),
            };
        }
        let by_quads = out.to_vec();
        let scratch = &mut crate::Aligned([0; 1 << 15]).0;
        let (needed, wished) = (scratch_len(&p.window, false)?, wished_scratch(&p.window)?);
        depthwise_conv2d(p, Unary::Apart(x, out), w, scratch.get_mut(..needed)?)?;
        assert!(quads.is_none() || by_quads == out);
        let mut other = vec![0; out.len()];
        depthwise_conv2d(p, Unary::Apart(x, &mut other), w, scratch.get_mut(..wished)?)?;
        assert_eq!(other, out);
        if applies_in_place(&p.window, p.multiplier) {
            other.copy_from_slice(x);
            let whole = scratch_len(&p.window, true)?;
            depthwise_conv2d(p, Unary::InPlace(&mut other), w, scratch.get_mut(..whole)?)?;
            assert_eq!(other, out, "in place");
        }
        Some(())
    }
}

/// What the operators run on this machine, and could run on it.
mod native {
    pub(super) use super::portable::{conv2d_scratch_len, depthwise_conv2d_scratch_len};
    use super::*;
    use crate::arch::{Products, each_level};

    pub(super) fn conv2d(p: &Conv2d<i8>, x: &[i8], w: &[i8], out: &mut [i8], _: &mut [i8]) -> Option<()> {
        let mut scratch = crate::Aligned([0; 1 << 15]);
        let (mut first, mut done) = (None, None);
        each_level(|| {
            out.fill(99);
            done = every_place(p, x, out, |operands| i8::conv2d(p, operands, w, &mut scratch.0));
            assert_eq!(first.get_or_insert_with(|| out.to_vec()), out);
        });
        done
    }

    pub(super) fn depthwise_conv2d(
        p: &DepthwiseConv2d<i8>,
        x: &[i8],
        w: &[i8],
        out: &mut [i8],
        _: &mut [i32],
    ) -> Option<()> {
        let scratch = &mut crate::Aligned([0; 1 << 15]).0;
        let (mut first, mut done) = (None, None);
        each_level(|| {
            out.fill(99);
            done = i8::depthwise_conv2d(p, Unary::Apart(x, out), w, scratch);
            assert_eq!(first.get_or_insert_with(|| out.to_vec()), out);
            if i8::depthwise_in_place(&p.window, p.multiplier) {
                let mut other = x.to_vec();
                i8::depthwise_conv2d(p, Unary::InPlace(&mut other), w, scratch).unwrap();
                assert_eq!(other, out, "in place");
            }
        });
        done
    }
}

/// The windows that the fast kernel of depthwise convolutions knows, over images wide enough for several tiles.
#[test]
fn depthwise_3x3_gives_the_bits_of_the_reference() {
    for seed in 0..400 {
        let random = &mut Random(seed);
        let stride = 1 + (seed as usize) % 2;
        let input = [1..12, 1..70].map(|r| random.range(r) as usize);
        let output = input.map(|n| n.div_ceil(stride));
        let window = Window { input, output, kernel: [3, 3], stride: [stride; 2], dilation: [1, 1], pad: [1, 1] };
        let channels = random.range(1..9) as usize;
        let requant = Requant::<i8>::random(random, channels, 9);
        let p = DepthwiseConv2d {
            batch: 1,
            in_channels: channels,
            multiplier: 1,
            window,
            pad_value: random.value(),
            requant: requant.view(),
        };
        let (x, w) = (random.i8s(input[0] * input[1] * channels), random.i8s(9 * channels));
        let mut expected = vec![0; output[0] * output[1] * channels];
        let mut found = expected.clone();
        reference::depthwise_conv2d(&p, &x, &w, &mut expected).unwrap();
        dsp::depthwise_conv2d(&p, &x, &w, &mut found, &mut vec![0; channels]).unwrap();
        assert_eq!(expected, found, "seed {seed}: {p:?}");
        found.fill(0);
        native::depthwise_conv2d(&p, &x, &w, &mut found, &mut []).unwrap();
        assert_eq!(expected, found, "seed {seed}: {p:?}");
    }
}

/// Images wider than tiles, and more outputs than a vector holds, which the random windows above are not.
#[test]
fn wide_convolutions_give_the_bits_of_the_reference() {
    for seed in 0..120 {
        let random = &mut Random(seed);
        let (input, kernel) = ([1..6, 1..60].map(|r| random.range(r) as usize), 1 + 2 * (seed as usize % 2));
        let stride = [0, 1].map(|_| random.range(1..3) as usize);
        let output = [0, 1].map(|axis| input[axis].div_ceil(stride[axis]));
        let window = Window { input, output, kernel: [kernel; 2], stride, dilation: [1; 2], pad: [kernel / 2; 2] };
        // One row of some is longer than the ring of rows.
        let in_channels = random.range(1..if seed % 8 == 0 { 500 } else { 40 }) as usize;
        let out_channels = random.range(1..70) as usize;
        let depth = kernel * kernel * in_channels;
        let requant = Requant::<i8>::random(random, out_channels, depth);
        let (pad_value, requant) = (random.value(), requant.view());
        let p = Conv2d { batch: 1, in_channels, out_channels, groups: 1, window, pad_value, requant };
        let (x, w) = (random.i8s(input[0] * input[1] * in_channels), random.i8s(out_channels * depth));
        let mut expected = vec![0; output[0] * output[1] * out_channels];
        let mut found = expected.clone();
        reference::conv2d(&p, &x, &w, &mut expected).unwrap();
        native::conv2d(&p, &x, &w, &mut found, &mut []).unwrap();
        assert_eq!(expected, found, "seed {seed}: {p:?}");
    }
}

kernel_tests!(portable_s8: portable of i8);
kernel_tests!(dsp_s8: dsp of i8);
kernel_tests!(native_s8: native of i8);
kernel_tests!(portable_s16: portable of i16);

/// Windows wider than a group of taps, and more channels than are worked on together.
#[test]
fn large_depthwise_gives_the_bits_of_the_reference() {
    for seed in 0..300 {
        let random = &mut Random(seed);
        let mut pick = |ranges: [std::ops::Range<i64>; 2]| ranges.map(|range| random.range(range) as usize);
        let (input, kernel) = (pick([5..12, 10..40]), pick([1..6, 1..10]));
        let (stride, dilation) = (pick([1..3, 1..4]), pick([1..3, 1..3]));
        let pad = [0, 1].map(|a| (kernel[a] - 1) * dilation[a] / 2);
        let output = [0, 1].map(|a| out_len(input[a], kernel[a], stride[a], dilation[a], 2 * pad[a]));
        let [Some(height), Some(width)] = output else { continue };
        let window = Window { input, output: [height, width], kernel, stride, dilation, pad };
        let channels = random.range(1..200) as usize;
        let taps = kernel[0] * kernel[1];
        let requant = Requant::<i8>::random(random, channels, taps);
        let p = DepthwiseConv2d {
            batch: 1,
            in_channels: channels,
            multiplier: 1,
            window,
            pad_value: random.value(),
            requant: requant.view(),
        };
        let (x, w) = (random.i8s(input[0] * input[1] * channels), random.i8s(taps * channels));
        let mut expected = vec![0; height * width * channels];
        let mut found = expected.clone();
        reference::depthwise_conv2d(&p, &x, &w, &mut expected).unwrap();
        native::depthwise_conv2d(&p, &x, &w, &mut found, &mut []).unwrap();
        assert_eq!(expected, found, "seed {seed}: {p:?}");
    }
}
