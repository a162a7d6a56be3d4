//! Attention on cores that multiply pairs of 16-bit lanes. Queries and weights whose length is a multiple of 4 are put in the
//! order 0, 2, 1, 3 of each four, in which they meet the halves of a word of int8; others stay as they are.

use zerocopy::{FromBytes, IntoBytes};

use super::drive::{self, Dots};
use super::portable::{self, Portable};
use super::{Attention, Cache, Operands, Scratch};
use crate::arch::dsp::smlad;
use crate::arch::dsp_attention;
use crate::arch::dsp_rows::{four_rows, one_row};

/// See [`super::reference::attention`].
pub fn attention(
    p: &Attention,
    position: i32,
    operands: &Operands,
    cache: &mut Cache,
    out: &mut [i16],
    scratch: &mut Scratch,
) -> Option<()> {
    drive::attention::<Dsp>(p, position, operands, cache, out, scratch)
}

struct Dsp;

/// The lane pairs of ordered values.
#[inline(always)]
fn lanes(values: &[i16]) -> Option<&[u32]> {
    if values.len().is_multiple_of(4) { <[u32]>::ref_from_bytes(values.as_bytes()).ok() } else { None }
}

impl Dots for Dsp {
    #[inline(always)]
    fn ordered(values: &mut [i16]) {
        // What cannot be read in pairs stays in its order.
        if lanes(values).is_none() {
            return;
        }
        for four in values.chunks_exact_mut(4) {
            if let [_, b, c, _] = four {
                core::mem::swap(b, c);
            }
        }
    }

    #[inline(always)]
    fn dot8(a: &[i16], b: &[i8]) -> i32 {
        match lanes(a) {
            Some(pairs) => one_row::<8>(b.as_bytes(), pairs),
            None => Portable::dot8(a, b),
        }
    }

    #[inline(always)]
    fn dot16(a: &[i16], b: &[i16]) -> i32 {
        let pairs = |x| <[u32]>::ref_from_bytes(<[i16]>::as_bytes(x)).ok();
        match (pairs(a), pairs(b)) {
            (Some(a), Some(b)) => a.iter().zip(b).fold(0, |acc, (&a, &b)| smlad(a, b, acc)),
            _ => Portable::dot16(a, b),
        }
    }

    #[inline(always)]
    fn scores(
        query: &[i16],
        (keys, stride): (&[i8], usize),
        codes: &[u8],
        down: i32,
        scores: &mut [i32],
    ) -> Option<()> {
        let done = match lanes(query).and_then(|pairs| <&[u32; 4]>::try_from(pairs).ok()) {
            Some(pairs) => dsp_attention::scores(pairs, (keys, stride), codes, down, scores),
            None => 0,
        };
        // Other heads, and what follows on a scale beyond the fast loop's.
        if done >= scores.len() {
            return Some(());
        }
        let keys = keys.get(done.checked_mul(stride)?..)?;
        drive::any_scores::<Self>(query, (keys, stride), codes.get(done..)?, down, scores.get_mut(done..)?)
    }

    #[inline(always)]
    fn add_part(part: &[i16], angles: &[i16], down: i32, scores: &mut [i32]) -> Option<i32> {
        let pairs = |x| <[u32]>::ref_from_bytes(<[i16]>::as_bytes(x)).ok();
        if let (Some(part), Some(angles)) = (pairs(part), pairs(angles))
            && let Ok(part) = <&[u32; 4]>::try_from(part)
            && let Some(max) = dsp_attention::add_part(part, angles, down, scores)
        {
            return Some(max);
        }
        drive::add_any_part::<Self>(part, angles, down, scores)
    }

    #[inline(always)]
    fn powers(scores: &[i32], codes: &[u8], (max, finest): (i32, i32), weights: &mut [i16]) -> u32 {
        dsp_attention::powers(scores, codes, (max, finest), weights)
    }

    #[inline(always)]
    fn rows(a: &[i16], b: &[i8], stride: usize, out: &mut [i32]) -> Option<()> {
        let Some(pairs) = lanes(a) else { return portable::rows::<Self>(a, b, stride, out) };
        let mut fours = out.chunks_exact_mut(4);
        let mut rest = b;
        for four in &mut fours {
            let sums = four_rows(rest.as_bytes(), stride, pairs)?;
            *four.first_chunk_mut::<4>()? = sums;
            rest = rest.get(stride.checked_mul(4)?..)?;
        }
        portable::rows::<Self>(a, rest, stride, fours.into_remainder())
    }
}
