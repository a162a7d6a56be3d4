//! Running sums in plain Rust that any target runs well.

use super::CumulativeSum;
use crate::kernels::{Accumulator, Element};

/// See [`super::reference::cumulative_sum`].
pub fn cumulative_sum<E: Element>(p: &CumulativeSum<E>, x: &[E], out: &mut [E]) -> Option<()> {
    let block = p.along.len.checked_mul(p.along.inner)?;
    if block == 0 || x.len() != out.len() || p.along.outer.checked_mul(block) != Some(x.len()) {
        return None;
    }
    for (x, out) in x.chunks_exact(block).zip(out.chunks_exact_mut(block)) {
        for j in 0..p.along.inner {
            let x = x.get(j..)?.iter().step_by(p.along.inner.max(1));
            let out = out.get_mut(j..)?.iter_mut().step_by(p.along.inner.max(1));
            if p.reverse { line(p, x.rev(), out.rev()) } else { line(p, x, out) }
        }
    }
    Some(())
}

#[inline(always)]
fn line<'a, E: Element>(p: &CumulativeSum<E>, x: impl Iterator<Item = &'a E>, out: impl Iterator<Item = &'a mut E>) {
    let mut sum = E::Sum::default();
    for (x, out) in x.zip(out) {
        let with = sum.plus(x.widen().wrapping_sub(p.zero_point));
        *out = p.output.finish((if p.exclusive { sum } else { with }).requantize(p.multiplier));
        sum = with;
    }
}
