//! Every variant against the reference, bit for bit, and the results against real arithmetic.
#![allow(clippy::float_arithmetic)]

use std::{vec, vec::Vec};

use super::*;
use crate::kernels::testing::{Random, multiplier};
use crate::kernels::{Binary, Element};

const SHAPE: Broadcast<'static> = Broadcast { a: &[3, 1, 5], b: &[4, 1], out: &[3, 4, 5] };

fn values<E: Element>(random: &mut Random, len: usize) -> Vec<E> {
    (0..len).map(|_| E::saturate(random.range(-40_000..40_000) as i32 >> random.range(0..16))).collect()
}

fn compare<E: Element>(
    random: &mut Random,
    reference: impl Fn(&[E], &[E], &mut [E]) -> Option<()>,
    kernel: impl Fn(Binary<'_, E>) -> Option<()>,
) -> (Vec<E>, Vec<E>, Vec<E>) {
    let (a, b) = (values::<E>(random, 15), values::<E>(random, 4));
    let (mut expected, mut found) = (vec![E::default(); 60], vec![E::default(); 60]);
    reference(&a, &b, &mut expected).unwrap();
    kernel(Binary::Apart(&a, &b, &mut found)).unwrap();
    assert_eq!(expected, found);
    assert!(kernel(Binary::Apart(&a[1..], &b, &mut found)).is_none());
    (a, b, found)
}

fn zero<E: Element>(random: &mut Random) -> i32 {
    if size_of::<E>() == 1 { random.range(-128..128) as i32 } else { 0 }
}

/// Operands of result `i`, zero points off.
fn operands<E: Element>(a: &[E], b: &[E], zeros: [i32; 2], i: usize) -> (f64, f64) {
    let (a, b) = (a[i / 20 * 5 + i % 5].widen() - zeros[0], b[i / 5 % 4].widen() - zeros[1]);
    (a.into(), b.into())
}

fn div_is_right<E: Element>(variant: impl Fn(&Div<E>, Binary<'_, E>) -> Option<()>) {
    for seed in 0..2_000 {
        let random = &mut Random(seed);
        let zero_points = [zero::<E>(random), zero::<E>(random)];
        let output = Output { zero_point: zero::<E>(random), min: E::MIN, max: E::MAX };
        let p = Div {
            shape: SHAPE,
            zero_points,
            mult: random.range(0..1 << 31) as i32,
            shift: random.range(0..31) as u8,
            output,
        };
        let (a, b, y) = compare(random, |a, b, y| reference::div(&p, a, b, y), |o| variant(&p, o));
        for (i, y) in y.iter().enumerate() {
            let (a, b) = operands(&a, &b, zero_points, i);
            let (low, high) = (f64::from(E::MIN.widen()), f64::from(E::MAX.widen()));
            let quotient = a * f64::from(p.mult) / f64::from(p.shift).exp2() / b;
            let real = if quotient.is_nan() { 0.0 } else { quotient } + f64::from(output.zero_point);
            let error = (f64::from(y.widen()) - real.clamp(low, high)).abs();
            assert!(error <= 0.501, "seed {seed}: {p:?}: {a} / {b} = {y:?}");
        }
    }
}

fn angles_are_right<E: Element>(variant: impl Fn(&Angle<E>, Binary<'_, E>) -> Option<()>) {
    for seed in 0..2_000 {
        let random = &mut Random(seed);
        let zeros = [zero::<E>(random), zero::<E>(random)];
        let full = random.range(0..2) == 0;
        let mut term = |zero_point| Term { zero_point, mult: random.range(1 << 20..1 << 31) as i32 };
        let (a, b) = (term(zeros[0]), term(zeros[1]));
        let step = 3.2 / f64::from(E::MAX.widen());
        let output = Output { zero_point: 0, min: E::MIN, max: E::MAX };
        let factor = multiplier(1.0 / f64::from(1 << ANGLE_BITS) / step);
        let p = Angle { shape: SHAPE, a, b, full, multiplier: factor, output };
        let (a, b, y) = compare(random, |a, b, y| reference::angle(&p, a, b, y), |o| variant(&p, o));
        for (i, y) in y.iter().enumerate() {
            let (a, b) = operands(&a, &b, zeros, i);
            let (a, b) = (a * f64::from(p.a.mult), b * f64::from(p.b.mult));
            let real = if full || b >= 0.0 { a.atan2(b) } else { (-a).atan2(-b) };
            let error = (f64::from(y.widen()) * step - real).abs() / step;
            assert!(error <= 0.51, "seed {seed}: {p:?}: {a} {b}: {y:?}, {real}");
        }
    }
}

const ANGLE_BITS: u32 = crate::fixed::ANGLE_FRACTION_BITS;

macro_rules! kernel_tests {
    ($variant:ident) => {
        mod $variant {
            use super::super::$variant as variant;
            use super::*;

            #[test]
            fn quotients_are_rounded_once() {
                div_is_right::<i8>(variant::div);
                div_is_right::<i16>(variant::div);
            }

            #[test]
            fn angles_are_those_of_atan2() {
                angles_are_right::<i8>(variant::angle);
                angles_are_right::<i16>(variant::angle);
            }
        }
    };
}

kernel_tests!(portable);
