//! Dot products of activations and int8 weights: the inner loop of convolutions and fully connected layers.

use super::{Accumulator, Element, PerChannel};
use crate::fixed::Rounding;

/// Output channels `first …` of one input vector: `out[o] = finish(bias[first + o] + Σ_i w[o,i] · x[i])`.
///
/// `w` holds a row of `x.len()` weights for each element of `out`. Four rows share one pass over `x`. `rounding` is what
/// [`crate::arch::vector_rounding`] says of the shifts.
#[inline(always)]
pub fn rows<E: Element>(
    requant: &PerChannel<E>,
    rounding: Option<Rounding>,
    first: usize,
    x: &[E],
    w: &[i8],
    out: &mut [E],
) -> Option<()> {
    let depth = x.len();
    let done = E::row_quads(requant, rounding, first, x, w, out);
    if done == out.len() {
        return Some(());
    }
    others(requant, first + done, x, w.get(done * depth..)?, out.get_mut(done..)?)
}

/// [`rows`] without [`crate::arch::row_quads`]: where that does nearly all, once for all callers.
#[cfg_attr(teff_core = "v6m", inline(never))]
#[cfg_attr(not(teff_core = "v6m"), inline(always))]
fn others<E: Element>(requant: &PerChannel<E>, first: usize, x: &[E], w: &[i8], out: &mut [E]) -> Option<()> {
    let depth = x.len();
    // Skipping would ask at each channel whether it has begun.
    let (bias, mult) = (requant.bias.get(first..)?, requant.mult.get(first..)?);
    let later = PerChannel { bias, mult, shift: requant.shift.get(first..)?, output: requant.output };
    let mut channels = later.channels();
    let mut result = |dot: E::Sum| {
        let (bias, m) = channels.next()?;
        let acc = dot.plus(bias);
        Some(if cfg!(teff_core = "v6m") { requant.output.rescale(acc, m) } else { requant.finish(acc, m) })
    };
    let (quads, few) = out.as_chunks_mut::<4>();
    let mut weights = w;
    for quad in quads {
        let (w, rest) = weights.split_at_checked(depth.checked_mul(4)?)?;
        weights = rest;
        let [a, b, c, d] = dot4(x, w)?;
        *quad = [result(a)?, result(b)?, result(c)?, result(d)?];
    }
    for value in few {
        let (w, rest) = weights.split_at_checked(depth)?;
        weights = rest;
        *value = result(dot1(x, w))?;
    }
    Some(())
}

/// `Σ x[i] · w[i]` over the shorter length, exact for as many products as verification admits.
#[inline(always)]
pub fn dot1<E: Element>(x: &[E], w: &[i8]) -> E::Sum {
    let block =
        |x: &[E], w: &[i8]| x.iter().zip(w).fold(0, |acc: i32, (&x, &w)| acc.wrapping_add(x.widen() * i32::from(w)));
    if x.len() <= E::BLOCK {
        return block(x, w).into();
    }
    if E::BLOCK == 0 {
        return x.iter().zip(w).fold(E::Sum::default(), |sum, (&x, &w)| sum.plus_product(x.widen(), w.into()));
    }
    let blocks = x.chunks(E::BLOCK).zip(w.chunks(E::BLOCK));
    blocks.fold(E::Sum::default(), |sum, (x, w)| sum.plus(block(x, w)))
}

/// Four rows of `w`, one after another, times the same `x`: `(Σ x[i] · w[r·n + i])` for r in 0..4, n = `x.len()`.
///
/// `None` if `w` does not hold four rows.
#[inline(always)]
pub fn dot4<E: Element>(x: &[E], w: &[i8]) -> Option<[E::Sum; 4]> {
    let n = x.len();
    let (w0, rest) = w.split_at_checked(n)?;
    let (w1, rest) = rest.split_at_checked(n)?;
    let (w2, rest) = rest.split_at_checked(n)?;
    let w3 = rest.get(..n)?;
    if E::BLOCK == 0 {
        return Some([w0, w1, w2, w3].map(|w| dot1(x, w)));
    }
    if n <= E::BLOCK {
        return Some(E::dot4(x, [w0, w1, w2, w3]).map(E::Sum::from));
    }
    let mut sums = [E::Sum::default(); 4];
    let [w0, w1, w2, w3] = [w0, w1, w2, w3].map(|w| w.chunks(E::BLOCK));
    for ((((x, a), b), c), d) in x.chunks(E::BLOCK).zip(w0).zip(w1).zip(w2).zip(w3) {
        for (sum, block) in sums.iter_mut().zip(E::dot4(x, [a, b, c, d])) {
            *sum = sum.plus(block);
        }
    }
    Some(sums)
}

/// Four dot products of at most [`Element::BLOCK`] elements.
#[inline(always)]
pub fn block4<E: Element>(x: &[E], [w0, w1, w2, w3]: [&[i8]; 4]) -> [i32; 4] {
    let mut acc = [0_i32; 4];
    for ((((&x, &a), &b), &c), &d) in x.iter().zip(w0).zip(w1).zip(w2).zip(w3) {
        let x = x.widen();
        for (acc, w) in acc.iter_mut().zip([a, b, c, d]) {
            *acc = acc.wrapping_add(x * i32::from(w));
        }
    }
    acc
}
/// `Σ_i w_r[i] · x[i]` for four rows of int8, one after another in `w`; `None` if they are not as long as `x`.
#[inline(always)]
pub fn dot4_wide(x: &[i16], w: &[u8]) -> Option<[i32; 4]> {
    let n = x.len();
    if w.len() != n.checked_mul(4)? {
        return None;
    }
    let mut sums = [0_i32; 4];
    for (sum, row) in sums.iter_mut().zip(w.chunks_exact(n.max(1))) {
        *sum = row.iter().zip(x).fold(0, |acc: i32, (&w, &x)| acc.wrapping_add(i32::from(w as i8) * i32::from(x)));
    }
    Some(sums)
}
