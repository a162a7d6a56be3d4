//! The rectifier in plain Rust that any target runs well.

use super::PRelu;
use crate::fixed::{Multiplier, requantize};
use crate::kernels::{Element, Unary};

/// See [`super::reference::prelu`]; may work in place.
pub fn prelu<E: Element>(p: &PRelu<E>, operands: Unary<'_, E>) -> Option<()> {
    let period = p.mult.len().max(1);
    let rectify = |x: E, (&mult, &shift): (&i32, &u8)| {
        let d = x.widen().wrapping_sub(p.in_zero_point);
        p.output.finish(requantize(d, if d >= 0 { p.above } else { Multiplier { mult, shift } }))
    };
    let factors = || p.mult.iter().zip(p.shift);
    match operands {
        Unary::InPlace(y) => {
            for y in y.chunks_exact_mut(period) {
                y.iter_mut().zip(factors()).for_each(|(y, factor)| *y = rectify(*y, factor));
            }
        }
        Unary::Apart(x, y) => {
            if x.len() != y.len() {
                return None;
            }
            for (y, x) in y.chunks_exact_mut(period).zip(x.chunks_exact(period)) {
                y.iter_mut().zip(x).zip(factors()).for_each(|((y, &x), factor)| *y = rectify(x, factor));
            }
        }
        Unary::Overlapping { .. } => return None,
    }
    Some(())
}
