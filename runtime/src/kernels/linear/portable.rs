//! Matrix products in plain Rust that any target runs well.

use super::FullyConnected;
use crate::arch::vector_rounding;
use crate::kernels::dot::rows;
use crate::kernels::rows::side_by_side;
use crate::kernels::{Element, Unary};

/// See [`super::reference::fully_connected`]. Four rows of the weights share one pass over the input vector.
///
/// `scratch` holds an input vector, unless input and output are apart.
pub fn fully_connected<E: Element>(
    p: &FullyConnected<E>,
    mut operands: Unary<'_, E>,
    w: &[i8],
    scratch: &mut [E],
) -> Option<()> {
    let w = w.get(..p.inputs.checked_mul(p.outputs)?)?;
    let rounding = vector_rounding(p.requant.shift);
    if let Unary::Apart(x, out) = operands {
        let vectors = side_by_side((x, p.inputs), (out, p.outputs));
        for (x, out) in vectors.take(p.rows) {
            rows(&p.requant, rounding, 0, x, w, out)?;
        }
        return Some(());
    }
    let vector = scratch.get_mut(..p.inputs)?;
    for row in 0..p.rows {
        vector.copy_from_slice(operands.x().get(row * p.inputs..)?.get(..p.inputs)?);
        rows(&p.requant, rounding, 0, vector, w, operands.y().get_mut(row * p.outputs..)?.get_mut(..p.outputs)?)?;
    }
    Some(())
}
