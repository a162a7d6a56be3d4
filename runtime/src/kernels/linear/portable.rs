//! Matrix products in plain Rust that any target runs well.

use super::FullyConnected;
use crate::kernels::dot::rows;

/// See [`super::reference::fully_connected_s8`]. Four rows of the weights share one pass over the input vector.
pub fn fully_connected_s8(p: &FullyConnected, x: &[i8], w: &[i8], out: &mut [i8]) -> Option<()> {
    let w = w.get(..p.inputs.checked_mul(p.outputs)?)?;
    let vectors = x.chunks_exact(p.inputs.max(1)).zip(out.chunks_exact_mut(p.outputs.max(1)));
    for (x, out) in vectors.take(p.rows) {
        rows(&p.requant, 0, x, w, out)?;
    }
    Some(())
}
