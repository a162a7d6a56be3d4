//! The specification of the elementwise operators. Never optimised.
#![allow(clippy::indexing_slicing, reason = "the specification reads like its formula")]

use super::{Add, AddTfLite, Broadcast, Clamp, Interpolated, Mul, Octaves, Requantize, Table};
use crate::fixed;
use crate::kernels::movement::reference::{coordinates, index};
use crate::kernels::{Accumulator, Element};

/// Sum of two scaled operands; a difference, if a factor is negative.
///
/// `out[i] = finish(rounding_shift_right((a[i] − zp_a)·mult_a + (b[i] − zp_b)·mult_b, shift))`
///
/// * `a`, `b`: of any shape that [`Broadcast`] admits; `out`: of the broadcast shape
/// * ranges: in int8 `|mult| ≤ 2^21` and `shift ≤ 30`, so that the sum stays below 2^30; in int16 `|mult| ≤ 2^30` and
///   `shift ≤ 46`, and the sum stays within 2^46
/// * rounding: [`fixed::rounding_shift_right`] or [`fixed::rounding_shift_right_i64`], once
/// * source: TensorFlow Lite's int8 ADD, with a single rounding
pub fn add<E: Element>(p: &Add<E>, a: &[E], b: &[E], out: &mut [E]) -> Option<()> {
    for (i, y) in out.iter_mut().enumerate() {
        let [a, b] = operands(&p.shape, a, b, i);
        let sum = E::Sum::default().plus_product(a - p.a.zero_point, p.a.mult);
        let sum = sum.plus_product(b - p.b.zero_point, p.b.mult);
        *y = p.output.finish(sum.rounding_shift_right(p.shift));
    }
    Some(())
}

/// Sum or difference of two operands, with the roundings of TensorFlow Lite.
///
/// `out[i] = finish(requantize(A ± B, sum))`: of the operand with the larger scale `(x − zp)·2^19` is taken, of the other
/// `requantize((x − zp)·2^20, fine)`, where a factor of ½ stands as one of ¼ and a shift by 21
///
/// * `a`, `b`: of any shape that [`Broadcast`] admits; `out`: of the broadcast shape
/// * ranges: `fine` with its shift is at most 2^19, so that the sum stays below 2^28
/// * rounding: [`fixed::requantize`], twice, as the factors say
/// * source: TensorFlow Lite's int8 ADD and SUB
pub fn add_tflite(p: &AddTfLite, a: &[i8], b: &[i8], out: &mut [i8]) -> Option<()> {
    for (i, y) in out.iter_mut().enumerate() {
        let [a, b] = operands(&p.shape, a, b, i);
        let (a, b) = (a - p.zero_points[0], b - p.zero_points[1]);
        let fine = |x: i32| fixed::requantize(x << p.fine.1, p.fine.0);
        let (a, b) = if p.fine_first { (fine(a), b << 19) } else { (a << 19, fine(b)) };
        *y = p.output.finish(fixed::requantize(if p.difference { a - b } else { a + b }, p.sum));
    }
    Some(())
}

/// Product of two operands.
///
/// `out[i] = finish(requantize((a[i] − zp_a)·(b[i] − zp_b), m))`
///
/// * `a`, `b`: of any shape that [`Broadcast`] admits; `out`: of the broadcast shape
/// * ranges: the product is at most 255² in absolute value in int8, 2^30 in int16
/// * rounding: [`fixed::requantize`], once
/// * source: TensorFlow Lite's int8 MUL, with a single rounding
pub fn mul<E: Element>(p: &Mul<E>, a: &[E], b: &[E], out: &mut [E]) -> Option<()> {
    for (i, y) in out.iter_mut().enumerate() {
        let [a, b] = operands(&p.shape, a, b, i);
        *y = p.output.finish(fixed::requantize((a - p.zero_points[0]) * (b - p.zero_points[1]), p.multiplier));
    }
    Some(())
}

/// The larger of two operands.
///
/// `out[i] = max(a[i], b[i])`
///
/// * `a`, `b`: of any shape that [`Broadcast`] admits; `out`: of the broadcast shape
/// * operands and output have the same scale and zero point; nothing is rounded
pub fn maximum<E: Element>(shape: &Broadcast, a: &[E], b: &[E], out: &mut [E]) -> Option<()> {
    for (i, y) in out.iter_mut().enumerate() {
        let [a, b] = operands(shape, a, b, i);
        *y = E::saturate(a.max(b));
    }
    Some(())
}

/// The smaller of two operands.
///
/// `out[i] = min(a[i], b[i])`
///
/// * `a`, `b`: of any shape that [`Broadcast`] admits; `out`: of the broadcast shape
/// * operands and output have the same scale and zero point; nothing is rounded
pub fn minimum<E: Element>(shape: &Broadcast, a: &[E], b: &[E], out: &mut [E]) -> Option<()> {
    for (i, y) in out.iter_mut().enumerate() {
        let [a, b] = operands(shape, a, b, i);
        *y = E::saturate(a.min(b));
    }
    Some(())
}

/// Clamp.
///
/// `out[i] = min(max(x[i], p.min), p.max)`
///
/// * `x`, `out`: of the same shape and quantization
/// * ranges: `p.min ≤ p.max`
/// * rounding: none
pub fn clamp<E: Element>(p: &Clamp<E>, x: &[E], out: &mut [E]) -> Option<()> {
    for (i, y) in out.iter_mut().enumerate() {
        *y = E::limit(x[i].widen(), p.min, p.max);
    }
    Some(())
}

/// Any function of an int8 variable.
///
/// `out[i] = table[x[i] + 128]`
///
/// * `x`, `out`: of the same shape
/// * rounding: none here; the converter rounds the entries
pub fn table_s8(table: &Table, x: &[i8], out: &mut [i8]) -> Option<()> {
    for (i, y) in out.iter_mut().enumerate() {
        *y = table[(i32::from(x[i]) + 128) as usize];
    }
    Some(())
}

/// Any function of an int16 variable, by interpolation.
///
/// `out[i] = sat16(interpolate(knots[k], knots[k + 1], t, shift))` with `u = x[i] + 32768`, first knot and shift those of
/// segment `u / length`, `within = u mod length`, `k = first + within / 2^shift`, `t = within mod 2^shift`
///
/// * `x`, `out`: of the same shape
/// * ranges: [`Interpolated::is_sound`]
/// * rounding: [`fixed::interpolate`], once; the converter rounds the knots
/// * error: at most one step of the output, which the converter checks for all 65536 inputs
pub fn interpolated(p: &Interpolated, x: &[i16], out: &mut [i16]) -> Option<()> {
    for (i, y) in out.iter_mut().enumerate() {
        let (k, t, shift) = place(p, x[i]);
        *y = fixed::sat16(fixed::interpolate(p.knots[k], p.knots[k + 1], t, shift));
    }
    Some(())
}

/// The knot before x, the steps from it to x, and the segment's shift: see [`interpolated`].
fn place(p: &Interpolated, x: i16) -> (usize, u32, u8) {
    let length = 65_536 / p.segments.len();
    let u = (i32::from(x) + 32_768) as usize;
    let (first, shift) = Interpolated::parts(p.segments[u / length]);
    let within = u % length;
    (first as usize + within / (1 << shift), (within % (1 << shift)) as u32, shift)
}

/// Any function of an int16 variable, wide: as [`interpolated`], but the knots are whole numbers and so are the results, of 32
/// bits.
///
/// * rounding: [`fixed::interpolate_wide`], once; the converter rounds the knots
pub fn interpolated_wide(p: &Interpolated, x: &[i16], out: &mut [i32]) -> Option<()> {
    for (i, y) in out.iter_mut().enumerate() {
        let (k, t, shift) = place(p, x[i]);
        *y = fixed::interpolate_wide(p.knots[k], p.knots[k + 1], t, shift);
    }
    Some(())
}

/// Any function of an int32 variable, by interpolation.
///
/// `out[i] = sat16(interpolate(knots[k], knots[k + 1], t, s))` with the place k, t, s of `|x[i]|` as [`Octaves`] says; of a
/// negative number in the second half of the knots, or, if there is none, `sat16(interpolate(knots[0], knots[0], 0, 0))`
///
/// * `x`, `out`: of the same shape
/// * ranges: [`Octaves::is_sound`]
/// * rounding: [`fixed::interpolate`], once; the converter rounds the knots
pub fn octaves(p: &Octaves, x: &[i32], out: &mut [i16]) -> Option<()> {
    let count = Octaves::knot_count(p.bits);
    for (i, y) in out.iter_mut().enumerate() {
        let signed = p.knots.len() > count;
        let (start, magnitude) = match x[i] {
            x if x >= 0 => (0, x.unsigned_abs()),
            x if signed => (count, x.unsigned_abs()),
            _ => (0, 0),
        };
        let exponent = (32 - magnitude.leading_zeros()).saturating_sub(u32::from(p.bits) + 1);
        let k = start + (exponent << p.bits) as usize + (magnitude >> exponent) as usize;
        let t = u64::from(magnitude) % (1 << exponent);
        let shift = exponent.min(16);
        let t = (t >> (exponent - shift)) as u32;
        // The last knot ends the table: only −2^31 reaches it.
        let next = if k + 1 < start + count { k + 1 } else { k };
        *y = fixed::sat16(fixed::interpolate(p.knots[k], p.knots[next], t, shift as u8));
    }
    Some(())
}

/// The same real values under another scale and zero point, in the same or another type.
///
/// `out[i] = finish(requantize(x[i] − zp_x, m))`
///
/// * `x`, `out`: of the same shape
/// * rounding: [`fixed::requantize`], once
pub fn requantize<X: Element, Y: Element>(p: &Requantize<Y>, x: &[X], out: &mut [Y]) -> Option<()> {
    for (i, y) in out.iter_mut().enumerate() {
        *y = p.output.finish(fixed::requantize(x[i].widen() - p.zero_point, p.multiplier));
    }
    Some(())
}

/// The operands of the result's element `i`.
pub(in crate::kernels) fn operands<E: Element>(shape: &Broadcast, a: &[E], b: &[E], i: usize) -> [i32; 2] {
    let at = coordinates(i, shape.out);
    let value = |x: &[E], x_shape: &[u32]| {
        let mut x_at = [0; 8];
        for axis in 0..x_shape.len() {
            let out_axis = axis + shape.out.len() - x_shape.len();
            x_at[axis] = if x_shape[axis] == 1 { 0 } else { at[out_axis] };
        }
        x[index(x_at, x_shape)].widen()
    };
    [value(a, shape.a), value(b, shape.b)]
}
