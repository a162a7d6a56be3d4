//! Every variant against the reference, bit for bit.

use std::{vec, vec::Vec};

use zerocopy::IntoBytes;

use super::*;
use crate::fixed::Multiplier;
use crate::kernels::Element;
use crate::kernels::Unary;
use crate::kernels::testing::{Random, Requant, multiplier, real_result, rounded_once};

#[allow(clippy::float_arithmetic)]
fn the_reference_is_within_its_error_bound<E: Element>() {
    for seed in 0..2_000 {
        let random = &mut Random(seed);
        let [inputs, outputs] = [1..70, 1..10].map(|r| random.range(r) as usize);
        let mut requant = Requant::<E>::random(random, outputs, inputs);
        let factors: Vec<f64> =
            (0..outputs).map(|_| f64::from(random.range(1..1 << 20) as i32) / (1_u64 << 30) as f64).collect();
        for (o, &factor) in factors.iter().enumerate() {
            Multiplier { mult: requant.mult[o], shift: requant.shift[o] } = multiplier(factor);
        }
        let p = FullyConnected { rows: 1, inputs, outputs, requant: requant.view() };
        let (x, w) = (random.values::<E>(inputs), random.i8s(outputs * inputs));
        let mut out = vec![E::MIN; outputs];
        reference::fully_connected(&p, &x, &w, &mut out).unwrap();
        for (o, w) in w.chunks(inputs).enumerate() {
            let dot: f64 = x.iter().zip(w).map(|(&x, &w)| f64::from(x.widen()) * f64::from(w)).sum();
            let real = real_result(dot + f64::from(requant.bias[o]), factors[o], &requant.output);
            let found = f64::from(out[o].widen());
            assert!((found - real).abs() <= rounded_once::<E>(), "seed {seed}: {found} for {real}");
        }
    }
}

macro_rules! kernel_tests {
    ($name:ident: $variant:ident of $element:ty) => {
        mod $name {
            use super::*;

            #[test]
            fn the_reference_is_within_its_error_bound() {
                super::the_reference_is_within_its_error_bound::<$element>();
            }

            #[test]
            fn fully_connected_gives_the_bits_of_the_reference() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let [rows, inputs, outputs] = [1..10, 1..70, 1..20].map(|r| random.range(r) as usize);
                    // Some sums take more than one block.
                    let inputs = if seed % 50 == 0 { inputs * 16 } else { inputs };
                    let requant = Requant::<$element>::random(random, outputs, inputs);
                    let p = FullyConnected { rows, inputs, outputs, requant: requant.view() };
                    let (x, w) = (random.values::<$element>(rows * inputs), random.i8s(outputs * inputs));
                    let mut expected = vec![0; rows * outputs];
                    let mut found = expected.clone();
                    reference::fully_connected(&p, &x, &w, &mut expected).unwrap();
                    $variant::fully_connected(&p, &x, &w, &mut found).unwrap();
                    assert_eq!(expected, found, "seed {seed}: {p:?}");
                }
            }

            #[test]
            fn the_largest_sums_are_exact() {
                type E = $element;
                for (seed, inputs) in (0..).zip([479, 480, 481, 960, 1_337, 65_535]) {
                    let requant = Requant::<E>::random(&mut Random(seed), 5, inputs);
                    let p = FullyConnected { rows: 1, inputs, outputs: 5, requant: requant.view() };
                    for (x, w) in [(E::MIN, -128), (E::MIN, 127), (E::MAX, -128), (E::MAX, 127)] {
                        let (x, w) = (vec![x; inputs], vec![w; 5 * inputs]);
                        let (mut expected, mut found) = ([0; 5], [1; 5]);
                        reference::fully_connected(&p, &x, &w, &mut expected).unwrap();
                        $variant::fully_connected(&p, &x, &w, &mut found).unwrap();
                        assert_eq!(expected, found, "{inputs} inputs");
                    }
                }
            }

            #[test]
            fn slices_of_wrong_size_do_not_panic() {
                let random = &mut Random(3);
                let requant = Requant::<$element>::random(random, 5, 7);
                let p = FullyConnected { rows: 2, inputs: 7, outputs: 5, requant: requant.view() };
                for len in 0..16 {
                    let (x, w) = (random.values::<$element>(len), random.i8s(2 * len));
                    $variant::fully_connected(&p, &x, &w, &mut vec![0; len]);
                }
            }
        }
    };
}

/// Input and output apart, and the output as far over the input as it may be.
fn every_place<E: Element>(
    p: &FullyConnected<E>,
    x: &[E],
    out: &mut [E],
    run: impl Fn(Unary<'_, E>) -> Option<()>,
) -> Option<()> {
    run(Unary::Apart(x, out))?;
    if let Some(distance) = super::overlap(p.rows, p.inputs, p.outputs) {
        let (x_range, y_range) = (distance..distance + x.len(), 0..out.len());
        let mut memory = vec![E::default(); x_range.end.max(y_range.end)];
        memory[x_range.clone()].copy_from_slice(x);
        run(Unary::Overlapping { memory: &mut memory, x: x_range, y: y_range.clone() })?;
        assert_eq!(&memory[y_range], out, "overlapping");
    }
    Some(())
}

mod portable {
    use super::*;

    pub(super) fn fully_connected<E: Element>(p: &FullyConnected<E>, x: &[E], w: &[i8], out: &mut [E]) -> Option<()> {
        let fully_connected = super::super::portable::fully_connected;
        every_place(p, x, out, |operands| fully_connected(p, operands, w, &mut vec![E::default(); p.inputs]))
    }
}

/// [`super::dsp`] with and without scratch memory for a block.
mod dsp {
    use super::*;

    pub(super) fn fully_connected(p: &FullyConnected<i8>, x: &[i8], w: &[i8], out: &mut [i8]) -> Option<()> {
        let scratch = core::cell::RefCell::new(vec![0_u32; super::super::dsp::block_len(p.inputs)?]);
        let run = |operands: Unary<'_, i8>, len: usize| {
            let mut scratch = scratch.borrow_mut();
            super::super::dsp::fully_connected(p, operands, w, &mut scratch.as_mut_bytes()[..len])
        };
        let mut without = out.to_vec();
        every_place(p, x, &mut without, |operands| run(operands, p.inputs))?;
        every_place(p, x, out, |operands| run(operands, super::super::wished_scratch(p.rows, p.inputs)?))?;
        assert_eq!(without, out);
        Some(())
    }
}

/// [`super::small`], one vector after the other.
mod small {
    use super::*;

    pub(super) fn fully_connected<E: Element>(p: &FullyConnected<E>, x: &[E], w: &[i8], out: &mut [E]) -> Option<()> {
        let one = FullyConnected { rows: 1, ..*p };
        let mut rows = x.chunks_exact(p.inputs).zip(out.chunks_exact_mut(p.outputs));
        rows.try_for_each(|(x, out)| super::super::small::fully_connected(&one, x, w, out))
    }
}

/// What the operators run on this machine, and could run on it.
mod native {
    use super::*;
    use crate::arch::{Products, each_level};

    pub(super) fn fully_connected(p: &FullyConnected<i8>, x: &[i8], w: &[i8], out: &mut [i8]) -> Option<()> {
        let (mut first, mut done) = (None, None);
        each_level(|| {
            out.fill(99);
            let run = |operands: Unary<'_, i8>| i8::fully_connected(p, operands, w, &mut vec![0; 8 * p.inputs + 64]);
            done = every_place(p, x, out, run);
            assert_eq!(first.get_or_insert_with(|| out.to_vec()), out);
        });
        done
    }
}

kernel_tests!(portable_s8: portable of i8);
kernel_tests!(dsp_s8: dsp of i8);
kernel_tests!(native_s8: native of i8);
kernel_tests!(small_s8: small of i8);
kernel_tests!(portable_s16: portable of i16);
kernel_tests!(portable_s32: portable of i32);
