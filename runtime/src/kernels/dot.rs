//! Dot products of int8 vectors: the inner loop of convolutions and fully connected layers.

use super::PerChannel;

/// Output channels `first …` of one input vector: `out[o] = finish(bias[first + o] + Σ_i w[o,i] · x[i])`.
///
/// `w` holds a row of `x.len()` weights for each element of `out`. Four rows share one pass over `x`.
#[inline(always)]
pub fn rows(requant: &PerChannel, first: usize, x: &[i8], w: &[i8], out: &mut [i8]) -> Option<()> {
    let depth = x.len();
    let mut channels = requant.channels().skip(first);
    let mut quads = out.chunks_exact_mut(4);
    let mut weights = w.chunks_exact((depth * 4).max(1));
    for (quad, w) in (&mut quads).zip(&mut weights) {
        for (value, dot) in quad.iter_mut().zip(dot4(x, w)?) {
            let (bias, m) = channels.next()?;
            *value = requant.finish(bias.wrapping_add(dot), m);
        }
    }
    let rest = weights.remainder().chunks_exact(depth.max(1));
    for (value, w) in quads.into_remainder().iter_mut().zip(rest) {
        let (bias, m) = channels.next()?;
        *value = requant.finish(bias.wrapping_add(dot1(x, w)), m);
    }
    Some(())
}

/// `Σ x[i] · w[i]` over the shorter length; at most 2^17 products, so that the sum fits in i32.
#[inline(always)]
pub fn dot1(x: &[i8], w: &[i8]) -> i32 {
    x.iter().zip(w).fold(0, |acc: i32, (&x, &w)| acc.wrapping_add(i32::from(x) * i32::from(w)))
}

/// Four rows of `w`, one after another, times the same `x`: `(Σ x[i] · w[r·n + i])` for r in 0..4, n = `x.len()`.
///
/// `None` if `w` does not hold four rows.
#[inline(always)]
pub fn dot4(x: &[i8], w: &[i8]) -> Option<[i32; 4]> {
    let n = x.len();
    let (w0, rest) = w.split_at_checked(n)?;
    let (w1, rest) = rest.split_at_checked(n)?;
    let (w2, rest) = rest.split_at_checked(n)?;
    let w3 = rest.get(..n)?;
    let mut acc = [0_i32; 4];
    for ((((&x, &a), &b), &c), &d) in x.iter().zip(w0).zip(w1).zip(w2).zip(w3) {
        let x = i32::from(x);
        for (acc, w) in acc.iter_mut().zip([a, b, c, d]) {
            *acc = acc.wrapping_add(x * i32::from(w));
        }
    }
    Some(acc)
}
