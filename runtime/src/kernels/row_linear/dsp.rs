//! Matrix products over rows on cores that multiply pairs of 16-bit lanes: four rows of weights of 8 bits, or two of less,
//! share each pair of a row, which is put in the order of [`super::lanes`] once.

use zerocopy::{FromBytes, IntoBytes};

use super::fours::{self, Accumulators, Fours};
use super::lanes::interleave;
use super::{MlpUp, Weights};
use crate::arch::dsp_rows::{Groups, four_rows, one_row, one_row_in_groups, two_rows};

/// See [`super::reference::row_linear`].
pub fn row_linear(w: &Weights, x: &[i16], out: &mut [i32], add: bool, scratch: &mut [i16]) -> Option<()> {
    fours::row_linear::<Dsp>(w, x, out, add, scratch)
}

/// See [`super::reference::mlp_up`]; the scratch holds the results of a row, and a row of inputs.
pub fn mlp_up(p: &MlpUp, w: &Weights, x: &[i16], out: &mut [i16], scratch: (&mut [i32], &mut [i16])) -> Option<()> {
    fours::mlp_up::<Dsp>(p, w, x, out, scratch)
}

struct Dsp;

impl Fours for Dsp {
    #[inline(always)]
    fn each(w: &Weights, x: &[i16], scratch: &mut [i16], to: &mut impl Accumulators) -> Option<()> {
        let (lanes, sums) = scratch.split_at_mut_checked(w.inputs)?;
        interleave(x, 32_usize.checked_div(w.bits as usize)?, lanes)?;
        let pairs = <[u32]>::ref_from_bytes(lanes.as_bytes()).ok()?;
        match w.bits {
            8 => fours(w, pairs, to),
            4 => twos::<4>(w, (x, pairs), sums, to),
            _ => twos::<2>(w, (x, pairs), sums, to),
        }
    }
}

/// Spans of the groups of a row: bytes and lane pairs.
#[inline(always)]
fn spans(w: &Weights) -> Option<(usize, usize)> {
    let groups = w.groups();
    let (bytes, pairs) = (w.row_bytes().checked_div(groups)?, (w.inputs / 2).checked_div(groups)?);
    Some((bytes.max(1), pairs.max(1)))
}

/// Rows of 8 bits, four by four, the last by themselves.
#[inline(always)]
fn fours(w: &Weights, pairs: &[u32], to: &mut impl Accumulators) -> Option<()> {
    let stride = w.row_bytes();
    let mut rest = w.data;
    if w.group == 0 {
        while let Some((rows, tail)) = rest.split_at_checked(stride.saturating_mul(4)).filter(|_| stride > 0) {
            to.take(four_rows(rows, stride, pairs)?, 4);
            rest = tail;
        }
        let (mut last, count) = ([0; 4], w.outputs % 4);
        for sum in last.iter_mut().take(count) {
            let (row, tail) = rest.split_at_checked(stride)?;
            *sum = one_row::<8>(row, pairs);
            rest = tail;
        }
        if count > 0 {
            to.take_last(last, count);
        }
        return Some(());
    }
    let (bytes, span) = spans(w)?;
    let groups = w.groups();
    let mut scales = w.scales;
    for _ in 0..w.outputs / 4 {
        let mut acc = [0_i32; 4];
        let mut at = rest;
        let mut left = pairs;
        for g in 0..groups {
            let (pairs, tail) = left.split_at_checked(span)?;
            left = tail;
            let dots = four_rows(at, stride, pairs)?;
            for (r, (acc, dot)) in acc.iter_mut().zip(dots).enumerate() {
                let scale = *scales.get(r.checked_mul(groups)?.checked_add(g)?)?;
                *acc = acc.wrapping_add(dot.wrapping_mul(scale.into()));
            }
            at = at.get(bytes..)?;
        }
        to.take_last(acc, 4);
        scales = scales.get(groups.checked_mul(4)?..)?;
        rest = rest.get(stride.checked_mul(4)?..)?;
    }
    let parts = Groups { span, offsets: &[] };
    let (mut last, count) = ([0; 4], w.outputs % 4);
    for sum in last.iter_mut().take(count) {
        let (row, tail) = rest.split_at_checked(stride)?;
        *sum = one_row_in_groups::<8>(row, pairs, parts, scales.get(..groups)?)?;
        scales = scales.get(groups..)?;
        rest = tail;
    }
    if count > 0 {
        to.take_last(last, count);
    }
    Some(())
}

/// Rows of unsigned codes, two by two, the last by itself; their products are brought to those of the values, `q − 8` and
/// `2q − 3`, by what the sum of each group's integers contributes.
#[inline(always)]
fn twos<const BITS: usize>(
    w: &Weights,
    (x, pairs): (&[i16], &[u32]),
    offsets: &mut [i16],
    to: &mut impl Accumulators,
) -> Option<()> {
    let stride = w.row_bytes();
    let (_, span) = spans(w)?;
    let groups = w.groups();
    let offset = if BITS == 4 { 8_i32 } else { 3 };
    let offsets = <[i32]>::mut_from_bytes(offsets.get_mut(..groups.checked_mul(2)?)?.as_mut_bytes()).ok()?;
    let mut rest = x;
    for sum in offsets.iter_mut() {
        let (x, tail) = rest.split_at_checked(span.checked_mul(2)?)?;
        rest = tail;
        let total = x.iter().fold(0, |sum: i32, &x| sum.wrapping_add(x.into()));
        *sum = 0_i32.wrapping_sub(total.wrapping_mul(offset));
    }
    let parts = Groups { span, offsets };
    let mut data = w.data;
    let mut scales = w.scales;
    // Two rows; `last`, if there is but one more.
    let mut next = |last: bool| {
        let pair = match w.group {
            0 => &[1; 2],
            _ => scales.get(..groups.checked_mul(if last { 1 } else { 2 })?)?,
        };
        if last {
            let sum = one_row_in_groups::<BITS>(data, pairs, parts, pair)?;
            return Some([sum, 0]);
        }
        let sums = two_rows::<BITS>(data, stride, pairs, parts, pair)?;
        data = data.get(stride.checked_mul(2)?..)?;
        if w.group > 0 {
            scales = scales.get(pair.len()..)?;
        }
        Some(sums)
    };
    let mut left = w.outputs;
    while left >= 4 {
        let ([a, b], [c, d]) = (next(false)?, next(false)?);
        to.take([a, b, c, d], 4);
        left -= 4;
    }
    if left > 0 {
        let [a, b] = next(left == 1)?;
        let c = if left == 3 { next(true)?[0] } else { 0 };
        to.take_last([a, b, c, 0], left);
    }
    Some(())
}
