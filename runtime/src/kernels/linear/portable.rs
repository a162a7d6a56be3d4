//! Matrix products in plain Rust that any target runs well.

use super::FullyConnected;
use crate::kernels::Element;
use crate::kernels::dot::rows;

/// See [`super::reference::fully_connected`]. Four rows of the weights share one pass over the input vector.
pub fn fully_connected<E: Element>(p: &FullyConnected<E>, x: &[E], w: &[i8], out: &mut [E]) -> Option<()> {
    let w = w.get(..p.inputs.checked_mul(p.outputs)?)?;
    let vectors = x.chunks_exact(p.inputs.max(1)).zip(out.chunks_exact_mut(p.outputs.max(1)));
    for (x, out) in vectors.take(p.rows) {
        rows(&p.requant, 0, x, w, out)?;
    }
    Some(())
}
