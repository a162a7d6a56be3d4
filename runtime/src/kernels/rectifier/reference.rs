//! The specification of the rectifier. Never optimised.
#![allow(clippy::indexing_slicing, reason = "the specification reads like its formula")]

use super::PRelu;
use crate::fixed::{Multiplier, requantize};
use crate::kernels::Element;

/// Parametric relu.
///
/// `out[i] = clamp(z_y + requantize(x[i] − z_x, x[i] ≥ z_x ? above : m[i mod len]))`
///
/// * `x`, `out`: as many elements, a multiple of the number of factors
/// * rounding: [`requantize`], once
/// * source: He et al., "Delving Deep into Rectifiers", ICCV 2015
pub fn prelu<E: Element>(p: &PRelu<E>, x: &[E], out: &mut [E]) -> Option<()> {
    for (i, (x, out)) in x.iter().zip(out).enumerate() {
        let d = x.widen() - p.in_zero_point;
        let below = Multiplier { mult: p.mult[i % p.mult.len()], shift: p.shift[i % p.mult.len()] };
        *out = p.output.finish(requantize(d, if d >= 0 { p.above } else { below }));
    }
    Some(())
}
