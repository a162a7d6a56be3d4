//! The specification of quotients and angles. Never optimised.

use super::{Angle, Div};
use crate::fixed::{ANGLE_FRACTION_BITS, atan2, requantize, rounding_divide_i64};
use crate::kernels::Element;
use crate::kernels::elementwise::reference::operands;

const _: () = assert!(ANGLE_FRACTION_BITS == 29);

/// Quotient of two operands.
///
/// `out[i] = finish(rounding_divide_i64((a[i] − z_a)·mult, (b[i] − z_b)·2^shift))`, the quotient saturated to i32
///
/// * `a`, `b`: of any shape that [`crate::kernels::elementwise::Broadcast`] admits; `out`: of the broadcast shape
/// * ranges: `0 ≤ mult`, `shift ≤ 30`; a divisor of 0 gives the end of the range that has the dividend's sign, and 0 for 0/0
/// * rounding: [`rounding_divide_i64`], once
pub fn div<E: Element>(p: &Div<E>, a: &[E], b: &[E], out: &mut [E]) -> Option<()> {
    for (i, y) in out.iter_mut().enumerate() {
        let [a, b] = operands(&p.shape, a, b, i);
        *y = quotient(p, a, b);
    }
    Some(())
}

pub(super) fn quotient<E: Element>(p: &Div<E>, a: i32, b: i32) -> E {
    // Factors below 2^17 and 2^31: exact.
    let numerator = i64::from(a.wrapping_sub(p.zero_points[0])).wrapping_mul(p.mult.into());
    let denominator = i64::from(b.wrapping_sub(p.zero_points[1])).wrapping_shl(p.shift.into());
    let quotient = rounding_divide_i64(numerator, denominator);
    p.output.finish(quotient.clamp(i32::MIN.into(), i32::MAX.into()) as i32)
}

/// Angle of the point `(b, a)`, or arc tangent of `a/b`.
///
/// `out[i] = finish(requantize(atan2((a[i] − z_a)·mult_a, (b[i] − z_b)·mult_b), m))`; unless `full`, a negative abscissa
/// turns the point about the origin first
///
/// * `a`, `b`: of any shape that [`crate::kernels::elementwise::Broadcast`] admits; `out`: of the broadcast shape
/// * rounding: [`atan2`], then [`requantize`]
pub fn angle<E: Element>(p: &Angle<E>, a: &[E], b: &[E], out: &mut [E]) -> Option<()> {
    for (i, y) in out.iter_mut().enumerate() {
        let [a, b] = operands(&p.shape, a, b, i);
        *y = angle_of(p, a, b);
    }
    Some(())
}

pub(super) fn angle_of<E: Element>(p: &Angle<E>, a: i32, b: i32) -> E {
    let scaled = |x: i32, zero: i32, mult: i32| i64::from(x.wrapping_sub(zero)).wrapping_mul(mult.into());
    let (y, x) = (scaled(a, p.a.zero_point, p.a.mult), scaled(b, p.b.zero_point, p.b.mult));
    let (y, x) = if x < 0 && !p.full { (y.wrapping_neg(), x.wrapping_neg()) } else { (y, x) };
    p.output.finish(requantize(atan2(y, x), p.multiplier))
}
