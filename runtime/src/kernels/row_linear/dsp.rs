//! Matrix products over rows on cores that multiply pairs of 16-bit lanes: four rows of weights share each pair of a row,
//! which is put in the order of [`super::lanes`] once.

use zerocopy::{FromBytes, IntoBytes};

use super::drive::{self, Dots};
use super::lanes::interleave;
use super::{MlpUp, Weights};
use crate::arch::dsp::{smlad, sxtb16, sxtb16_odd};

/// See [`super::reference::row_linear`].
pub fn row_linear(w: &Weights, x: &[i16], out: &mut [i32], add: bool, scratch: &mut [i16]) -> Option<()> {
    drive::row_linear::<Dsp>(w, x, out, add, scratch)
}

/// See [`super::reference::mlp_up`]; the scratch holds the results of a row, and a row of inputs.
pub fn mlp_up(p: &MlpUp, w: &Weights, x: &[i16], out: &mut [i16], scratch: (&mut [i32], &mut [i16])) -> Option<()> {
    drive::mlp_up::<Dsp>(p, w, x, out, scratch)
}

struct Dsp;

impl Dots for Dsp {
    #[inline(always)]
    fn each(w: &Weights, x: &[i16], scratch: &mut [i16], emit: impl FnMut(i32)) -> Option<()> {
        let lanes = scratch.get_mut(..w.inputs)?;
        interleave(x, 32_usize.checked_div(w.bits as usize)?, lanes)?;
        let pairs = <[u32]>::ref_from_bytes(lanes.as_bytes()).ok()?;
        match w.bits {
            8 => rows::<8>(w, x, pairs, emit),
            4 => rows::<4>(w, x, pairs, emit),
            _ => rows::<2>(w, x, pairs, emit),
        }
    }
}

/// All rows, four by four, the last by themselves.
#[inline(always)]
fn rows<const BITS: usize>(w: &Weights, x: &[i16], pairs: &[u32], mut emit: impl FnMut(i32)) -> Option<()> {
    let words = w.row_bytes().checked_div(4).filter(|&words| words > 0)?;
    let data = <[u32]>::ref_from_bytes(w.data).ok()?;
    let groups = w.groups();
    let mut scales = w.scales.chunks_exact(if w.group == 0 { 1 } else { groups });
    let mut quads = data.chunks_exact(words.checked_mul(4)?);
    for quad in &mut quads {
        let (a, rest) = quad.split_at_checked(words)?;
        let (b, rest) = rest.split_at_checked(words)?;
        let (c, d) = rest.split_at_checked(words)?;
        if w.group == 0 {
            shifted::<BITS, 4>([a, b, c, d], x, pairs)?.into_iter().for_each(&mut emit);
            continue;
        }
        let of = [scales.next()?, scales.next()?, scales.next()?, scales.next()?];
        grouped::<BITS, 4>([a, b, c, d], of, x, pairs)?.into_iter().for_each(&mut emit);
    }
    for row in quads.remainder().chunks_exact(words.max(1)) {
        let [dot] = match w.group {
            0 => shifted::<BITS, 1>([row], x, pairs)?,
            _ => grouped::<BITS, 1>([row], [scales.next()?], x, pairs)?,
        };
        emit(dot);
    }
    Some(())
}

/// Rows with a scale for each group.
#[inline(always)]
fn grouped<const BITS: usize, const N: usize>(
    rows: [&[u32]; N],
    scales: [&[i8]; N],
    x: &[i16],
    pairs: &[u32],
) -> Option<[i32; N]> {
    let groups = scales.first()?.len().max(1);
    let (words, values) = (rows.first()?.len().checked_div(groups)?, x.len().checked_div(groups)?);
    let mut acc = [0_i32; N];
    let mut pairs = pairs.chunks_exact((values / 2).max(1));
    for (g, x) in x.chunks_exact(values.max(1)).enumerate() {
        let Some(pairs) = pairs.next() else { break };
        let start = g.checked_mul(words)?;
        let mut part = [&[] as &[u32]; N];
        for (part, row) in part.iter_mut().zip(rows) {
            *part = row.get(start..start.checked_add(words)?)?;
        }
        let dots = shifted::<BITS, N>(part, x, pairs)?;
        for ((acc, dot), scales) in acc.iter_mut().zip(dots).zip(scales) {
            *acc = acc.wrapping_add(dot.wrapping_mul(i32::from(*scales.get(g)?)));
        }
    }
    Some(acc)
}

/// Products of unsigned codes, brought to those of the values: `q − 8`, `2q − 3`.
#[inline(always)]
fn shifted<const BITS: usize, const N: usize>(rows: [&[u32]; N], x: &[i16], pairs: &[u32]) -> Option<[i32; N]> {
    let dots = codes::<BITS, N>(rows, pairs);
    let sum = || x.iter().fold(0, |sum: i32, &x| sum.wrapping_add(x.into()));
    Some(match BITS {
        8 => dots,
        4 => {
            let offset = sum().wrapping_mul(8);
            dots.map(|dot| dot.wrapping_sub(offset))
        }
        _ => {
            let offset = sum().wrapping_mul(3);
            dots.map(|dot| dot.wrapping_mul(2).wrapping_sub(offset))
        }
    })
}

/// `Σ code · x` of each row.
#[inline(always)]
fn codes<const BITS: usize, const N: usize>(rows: [&[u32]; N], pairs: &[u32]) -> [i32; N] {
    let mut sums = [0_i32; N];
    let pairs = pairs.chunks_exact(16 / BITS);
    match *rows.as_slice() {
        // Plain variables, so that they stay in registers.
        [a, b, c, d] => {
            let mut acc = (0, 0, 0, 0);
            for ((((x, &a), &b), &c), &d) in pairs.zip(a).zip(b).zip(c).zip(d) {
                acc.0 = word::<BITS>(a, x, acc.0);
                acc.1 = word::<BITS>(b, x, acc.1);
                acc.2 = word::<BITS>(c, x, acc.2);
                acc.3 = word::<BITS>(d, x, acc.3);
            }
            sums.iter_mut().zip([acc.0, acc.1, acc.2, acc.3]).for_each(|(sum, acc)| *sum = acc);
        }
        _ => {
            for (sum, row) in sums.iter_mut().zip(rows) {
                *sum = pairs.clone().zip(row).fold(0, |acc, (x, &w)| word::<BITS>(w, x, acc));
            }
        }
    }
    sums
}

/// `acc + Σ code · x` of a word of weights.
#[inline(always)]
fn word<const BITS: usize>(w: u32, pairs: &[u32], acc: i32) -> i32 {
    match (BITS, pairs) {
        (8, &[even, odd]) => smlad(sxtb16_odd(w), odd, smlad(sxtb16(w), even, acc)),
        (4, pairs) => (0..).zip(pairs).fold(acc, |acc, (k, &x)| smlad((w >> (4 * k)) & 0x000F_000F, x, acc)),
        (_, pairs) => (0..).zip(pairs).fold(acc, |acc, (k, &x)| smlad((w >> (2 * k)) & 0x0003_0003, x, acc)),
    }
}
