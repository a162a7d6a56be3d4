//! That the operators find these kernels: the bits, which are the same without them, cannot tell.

use core::cell::Cell;
use std::{vec, vec::Vec};

use crate::arch::Products;
use crate::fixed::Multiplier;
use crate::kernels::Unary;
use crate::kernels::conv::{Conv2d, DepthwiseConv2d, Window, reference};
use crate::kernels::linear::FullyConnected;
use crate::kernels::testing::{Random, Requant};

std::thread_local! {
    /// Results of this thread: by SMULL, by SDOT.
    static MADE: Cell<[usize; 2]> = const { Cell::new([0; 2]) };
}

/// So many more results.
pub(super) fn made<const SDOT: bool>(results: usize) {
    let mut made = MADE.get();
    made[usize::from(SDOT)] += results;
    MADE.set(made);
}

/// So many more results of depthwise convolutions.
pub(super) fn made_depthwise(results: usize) {
    match super::dotprod() {
        true => made::<true>(results),
        false => made::<false>(results),
    }
}

/// What `run` makes here, all of which must be by what the processor has.
fn results_of(run: impl FnOnce() -> Option<()>) -> usize {
    MADE.set([0; 2]);
    run().expect("it runs");
    let made = MADE.get();
    let sdot = usize::from(super::dotprod());
    assert_eq!(made[1 - sdot], 0, "{}", super::instructions());
    made[sdot]
}

/// Factors as converters write them, with either rounding.
fn factors(random: &mut Random, channels: usize) -> [Requant<i8>; 2] {
    [false, true].map(|tflite| {
        let mut requant = Requant::random(random, channels, 32);
        for (shift, &mult) in requant.shift.iter_mut().zip(&requant.mult) {
            let once = Multiplier { mult, shift: 40 };
            *shift = if tflite { once.as_tflite().shift } else { once.shift };
        }
        requant
    })
}

#[test]
fn convolutions() {
    let random = &mut Random(1);
    let (x, w) = (random.i8s(5 * 7 * 8), random.i8s(12 * 9 * 8));
    for requant in factors(random, 12) {
        for kernel in [1, 3] {
            let window = Window {
                input: [5, 7],
                output: [5, 7],
                kernel: [kernel; 2],
                stride: [1; 2],
                dilation: [1; 2],
                pad: [kernel / 2; 2],
            };
            let requant = requant.view();
            let p = Conv2d { batch: 1, in_channels: 8, out_channels: 12, groups: 1, window, pad_value: 3, requant };
            let w = &w[..12 * kernel * kernel * 8];
            let (mut y, mut scratch) = (vec![0; 5 * 7 * 12], crate::Aligned([0; 1 << 12]));
            let found = results_of(|| i8::conv2d(&p, Unary::Apart(&x, &mut y), w, &mut scratch.0));
            assert_eq!(found, y.len(), "{kernel}×{kernel}");
        }
    }
}

/// Any window of channels in eights, over the input too where the planner may put the output there.
#[test]
fn depthwise_convolutions() {
    for seed in 0..600 {
        let random = &mut Random(seed);
        let (input, kernel) = ([1..12, 1..40], [1..6, 1..6]);
        let [input, kernel] = [input, kernel].map(|pair| pair.map(|range| random.range(range) as usize));
        let kernel = if seed % 2 == 0 { [3; 2] } else { kernel };
        let [stride, dilation] = [0, 1].map(|_| [0, 1].map(|_| random.range(1..3) as usize));
        let reach = [0, 1].map(|axis| (kernel[axis] - 1) * dilation[axis] + 1);
        let pad = reach.map(|reach| random.range(0..reach as i64) as usize);
        let output = [0, 1].map(|axis| (input[axis] + 2 * pad[axis]).saturating_sub(reach[axis]) / stride[axis] + 1);
        if (0..2).any(|axis| input[axis] + 2 * pad[axis] < reach[axis]) {
            continue;
        }
        let window = Window { input, output, kernel, stride, dilation, pad };
        let (batch, c) = (random.range(1..3) as usize, 8 * random.range(1..4) as usize);
        let (x, w) = (random.i8s(batch * input[0] * input[1] * c), random.i8s(kernel[0] * kernel[1] * c));
        for requant in factors(random, c) {
            let (pad_value, requant) = (random.value(), requant.view());
            let p = DepthwiseConv2d { batch, in_channels: c, multiplier: 1, window, pad_value, requant };
            let mut expected = vec![0; batch * output[0] * output[1] * c];
            reference::depthwise_conv2d(&p, &x, &w, &mut expected).expect("it runs");
            let mut y = vec![0; expected.len()];
            let made = results_of(|| i8::depthwise_conv2d(&p, Unary::Apart(&x, &mut y), &w, &mut []));
            assert_eq!((made, &y), (y.len(), &expected), "seed {seed}: {p:?}");
            if i8::depthwise_in_place(&window, 1) {
                let mut y = x.clone();
                let made = results_of(|| i8::depthwise_conv2d(&p, Unary::InPlace(&mut y), &w, &mut []));
                assert_eq!((made, &y), (y.len(), &expected), "in place, seed {seed}: {p:?}");
            }
        }
    }
}

#[test]
fn fully_connected_layers() {
    let random = &mut Random(2);
    let (x, w): (Vec<i8>, Vec<i8>) = (random.i8s(3 * 33), random.i8s(14 * 33));
    for requant in factors(random, 14) {
        let p = FullyConnected { rows: 3, inputs: 33, outputs: 14, requant: requant.view() };
        let (mut y, mut scratch) = (vec![0; 3 * 14], crate::Aligned([0; 1 << 12]));
        let found = results_of(|| i8::fully_connected(&p, Unary::Apart(&x, &mut y), &w, &mut scratch.0));
        // Two of fourteen are beside the fours.
        assert_eq!(found, 3 * 12);
    }
}
