//! One vector times few weights: the least code, for layers whose time does not count.

use super::FullyConnected;
use crate::kernels::dot::dot1;
use crate::kernels::{Accumulator, Element};

/// See [`super::reference::fully_connected`]: of one vector, one row of the weights after the other.
pub fn fully_connected<E: Element>(p: &FullyConnected<E>, x: &[E], w: &[i8], out: &mut [E]) -> Option<()> {
    let mut channels = p.requant.channels();
    let rows = w.chunks_exact(p.inputs.max(1));
    for (out, w) in out.iter_mut().zip(rows) {
        let (bias, m) = channels.next()?;
        *out = p.requant.finish(dot1(x, w).plus(bias), m);
    }
    Some(())
}
