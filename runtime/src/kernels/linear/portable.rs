//! Matrix products in plain Rust that any target runs well.

use super::FullyConnected;
use crate::arch::vector_rounding;
use crate::kernels::dot::rows;
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
    // One loop, for the products are inlined in it.
    for row in 0..p.rows {
        let inputs = row * p.inputs..;
        let (x, y) = match &mut operands {
            Unary::Apart(x, y) => (x.get(inputs)?.get(..p.inputs)?, &mut **y),
            operands => {
                let vector = scratch.get_mut(..p.inputs)?;
                vector.copy_from_slice(operands.x().get(inputs)?.get(..p.inputs)?);
                (&*vector, operands.y())
            }
        };
        rows(&p.requant, rounding, 0, x, w, y.get_mut(row * p.outputs..)?.get_mut(..p.outputs)?)?;
    }
    Some(())
}
