//! The specification of the elementwise operators. Never optimised.
#![allow(clippy::indexing_slicing, reason = "the specification reads like its formula")]

use super::{Add, Broadcast, Clamp, Mul, Requantize, Table};
use crate::fixed;
use crate::kernels::movement::reference::{coordinates, index};

/// Sum of two scaled operands; a difference, if a factor is negative.
///
/// `out[i] = finish(rounding_shift_right((a[i] − zp_a)·mult_a + (b[i] − zp_b)·mult_b, shift))`
///
/// * `a`, `b`: of any shape that [`Broadcast`] admits; `out`: of the broadcast shape
/// * ranges: `|mult| ≤ 2^21` and `shift ≤ 30`, so that the sum stays below 2^30
/// * rounding: [`fixed::rounding_shift_right`], once
/// * source: TensorFlow Lite's int8 ADD, with a single rounding
pub fn add_s8(p: &Add, a: &[i8], b: &[i8], out: &mut [i8]) -> Option<()> {
    for (i, y) in out.iter_mut().enumerate() {
        let [a, b] = operands(&p.shape, a, b, i);
        let sum = (a - p.a.zero_point) * p.a.mult + (b - p.b.zero_point) * p.b.mult;
        *y = p.output.finish(fixed::rounding_shift_right(sum, p.shift));
    }
    Some(())
}

/// Product of two operands.
///
/// `out[i] = finish(requantize((a[i] − zp_a)·(b[i] − zp_b), m))`
///
/// * `a`, `b`: of any shape that [`Broadcast`] admits; `out`: of the broadcast shape
/// * ranges: the product is at most 255² in absolute value
/// * rounding: [`fixed::requantize`], once
/// * source: TensorFlow Lite's int8 MUL, with a single rounding
pub fn mul_s8(p: &Mul, a: &[i8], b: &[i8], out: &mut [i8]) -> Option<()> {
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
pub fn maximum_s8(shape: &Broadcast, a: &[i8], b: &[i8], out: &mut [i8]) -> Option<()> {
    for (i, y) in out.iter_mut().enumerate() {
        let [a, b] = operands(shape, a, b, i);
        *y = a.max(b) as i8;
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
pub fn clamp_s8(p: &Clamp, x: &[i8], out: &mut [i8]) -> Option<()> {
    for (i, y) in out.iter_mut().enumerate() {
        *y = fixed::clamp_s8(x[i].into(), p.min, p.max);
    }
    Some(())
}

/// Any function of one variable.
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

/// The same real values under another scale and zero point.
///
/// `out[i] = finish(requantize(x[i] − zp_x, m))`
///
/// * `x`, `out`: of the same shape
/// * rounding: [`fixed::requantize`], once
pub fn requantize_s8(p: &Requantize, x: &[i8], out: &mut [i8]) -> Option<()> {
    for (i, y) in out.iter_mut().enumerate() {
        *y = p.output.finish(fixed::requantize(i32::from(x[i]) - p.zero_point, p.multiplier));
    }
    Some(())
}

/// The operands of the result's element `i`.
fn operands(shape: &Broadcast, a: &[i8], b: &[i8], i: usize) -> [i32; 2] {
    let at = coordinates(i, shape.out);
    let value = |x: &[i8], x_shape: &[u32]| {
        let mut x_at = [0; 8];
        for axis in 0..x_shape.len() {
            let out_axis = axis + shape.out.len() - x_shape.len();
            x_at[axis] = if x_shape[axis] == 1 { 0 } else { at[out_axis] };
        }
        i32::from(x[index(x_at, x_shape)])
    };
    [value(a, shape.a), value(b, shape.b)]
}
