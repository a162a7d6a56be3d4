//! Results of an int8 vector and rows of weights as they lie in the file: convolutions and matrix products.
#![allow(unsafe_code)]

use core::arch::aarch64::*;
use core::array;

use super::vector::{Landing, add_products};
use crate::fixed::Rounding;
use crate::kernels::PerChannel;

/// Bytes of a vector.
const BYTES: usize = 16;

/// See [`crate::arch::row_quads`].
pub fn row_quads(
    requant: &PerChannel<i8>,
    rounding: Rounding,
    first: usize,
    x: &[i8],
    w: &[i8],
    out: &mut [i8],
) -> Option<usize> {
    match super::dotprod() {
        true => work::<true>(requant, rounding, first, x, w, out),
        false => work::<false>(requant, rounding, first, x, w, out),
    }
}

/// All quads of rows, eight rows at a time as long as there are so many.
#[inline(never)]
fn work<const SDOT: bool>(
    requant: &PerChannel<i8>,
    rounding: Rounding,
    first: usize,
    x: &[i8],
    w: &[i8],
    out: &mut [i8],
) -> Option<usize> {
    let landing = Landing::new(requant, rounding);
    let (chunks, tail) = x.as_chunks::<BYTES>();
    // Zeros behind the vector: what is read of a row there, which is the next row, counts nothing.
    let mut last = [0; BYTES];
    last.get_mut(..tail.len())?.copy_from_slice(tail);
    let x = Vector { chunks, last, len: x.len() };
    let quads = out.as_chunks_mut::<4>().0;
    let count = quads.len();
    let mut row = 0;
    for pair in quads.chunks_mut(2) {
        let w = w.get(row * x.len..)?;
        let mut results = [[0; 4]; 2];
        let results = match pair.len() {
            2 => {
                let sums = x.times::<SDOT, 8>(w)?;
                for (half, (sums, to)) in sums.as_chunks::<4>().0.iter().zip(&mut results).enumerate() {
                    *to = finish(requant, landing, first + row + 4 * half, *sums)?;
                }
                &results[..]
            }
            _ => {
                results = [finish(requant, landing, first + row, x.times::<SDOT, 4>(w)?)?; 2];
                results.get(..1)?
            }
        };
        row += 4 * results.len();
        pair.copy_from_slice(results);
    }
    #[cfg(test)]
    super::tests::made::<SDOT>(4 * count);
    Some(4 * count)
}

/// The results of four rows from channel `first` on.
#[inline(always)]
fn finish(requant: &PerChannel<i8>, landing: Landing, first: usize, acc: [int32x4_t; 4]) -> Option<[i8; 4]> {
    let [a, b, c, d] = acc;
    // SAFETY: the target has NEON.
    let sums = unsafe { vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d)) };
    let bias = requant.bias.get(first..)?.first_chunk()?;
    let mult = requant.mult.get(first..)?.first_chunk()?;
    Some(landing.finish(sums, [bias, mult], *requant.shift.get(first..)?.first_chunk()?))
}

/// A vector of the input.
struct Vector<'x> {
    chunks: &'x [[i8; BYTES]],
    /// What is behind the whole chunks, then zeros.
    last: [i8; BYTES],
    len: usize,
}

impl Vector<'_> {
    /// The sums of `R` rows, four parts each.
    #[inline(always)]
    fn times<const SDOT: bool, const R: usize>(&self, w: &[i8]) -> Option<[int32x4_t; R]> {
        if w.len() < self.len.checked_mul(R)? {
            return None;
        }
        // SAFETY: the target has NEON.
        let mut acc = [unsafe { vdupq_n_s32(0) }; R];
        let mut at = w.as_ptr();
        for x in self.chunks {
            // SAFETY: a chunk of the input, and of each of the `R` rows, which have been found to be there.
            unsafe {
                let x = vld1q_s8(x.as_ptr());
                let rows: [int8x16_t; R] = array::from_fn(|r| vld1q_s8(at.add(r * self.len)));
                for (acc, row) in acc.iter_mut().zip(rows) {
                    add_products::<SDOT>(acc, x, row);
                }
                at = at.add(BYTES);
            }
        }
        let done = self.chunks.len() * BYTES;
        if done < self.len {
            // SAFETY: sixteen bytes.
            let x = unsafe { vld1q_s8(self.last.as_ptr()) };
            for (r, acc) in acc.iter_mut().enumerate() {
                let rest = w.get(r * self.len + done..)?;
                let mut end = [0; BYTES];
                let row = match rest.first_chunk() {
                    Some(row) => row,
                    None => {
                        end.get_mut(..rest.len())?.copy_from_slice(rest);
                        &end
                    }
                };
                // SAFETY: sixteen bytes.
                add_products::<SDOT>(acc, x, unsafe { vld1q_s8(row.as_ptr()) });
            }
        }
        Some(acc)
    }
}
