//! That the operators find these kernels: the bits, which are the same without them, cannot tell.

use core::cell::Cell;
use std::{vec, vec::Vec};

use crate::arch::Products;
use crate::fixed::Multiplier;
use crate::kernels::Unary;
use crate::kernels::conv::{Conv2d, Window};
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
