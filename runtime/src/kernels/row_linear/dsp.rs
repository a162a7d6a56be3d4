//! Matrix products over rows on cores that multiply pairs of 16-bit lanes: four rows of weights of 8 bits, or two of less,
//! share each pair of a row, which is put in the order of [`super::lanes`] once.

use zerocopy::{FromBytes, IntoBytes};

use super::drive::{self, Dots};
use super::lanes::interleave;
use super::{MlpUp, Weights};
use crate::arch::dsp_rows::{four_rows, one_row, two_rows};

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
        let (lanes, sums) = scratch.split_at_mut_checked(w.inputs)?;
        interleave(x, 32_usize.checked_div(w.bits as usize)?, lanes)?;
        let pairs = <[u32]>::ref_from_bytes(lanes.as_bytes()).ok()?;
        match w.bits {
            8 => fours(w, pairs, emit),
            4 => twos::<4>(w, (x, pairs), sums, emit),
            _ => twos::<2>(w, (x, pairs), sums, emit),
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
fn fours(w: &Weights, pairs: &[u32], mut emit: impl FnMut(i32)) -> Option<()> {
    let stride = w.row_bytes();
    let (bytes, span) = spans(w)?;
    let groups = w.groups();
    let mut data = w.data;
    let mut scales = w.scales;
    for _ in 0..w.outputs / 4 {
        if w.group == 0 {
            let [a, b, c, d] = four_rows(data, stride, pairs)?;
            emit(a);
            emit(b);
            emit(c);
            emit(d);
        } else {
            let mut acc = [0_i32; 4];
            let mut at = data;
            for (g, pairs) in pairs.chunks_exact(span).enumerate() {
                let dots = four_rows(at, stride, pairs)?;
                for (r, (acc, dot)) in acc.iter_mut().zip(dots).enumerate() {
                    let scale = *scales.get(r.checked_mul(groups)?.checked_add(g)?)?;
                    *acc = acc.wrapping_add(dot.wrapping_mul(scale.into()));
                }
                at = at.get(bytes..)?;
            }
            acc.into_iter().for_each(&mut emit);
            scales = scales.get(groups.checked_mul(4)?..)?;
        }
        data = data.get(stride.checked_mul(4)?..)?;
    }
    for row in data.chunks_exact(stride.max(1)) {
        let parts = row.chunks_exact(bytes).zip(pairs.chunks_exact(span));
        let mut acc = 0_i32;
        for (g, (row, pairs)) in parts.enumerate() {
            let scale = if w.group == 0 { 1 } else { i32::from(*scales.get(g)?) };
            acc = acc.wrapping_add(one_row::<8>(row, pairs).wrapping_mul(scale));
        }
        scales = if w.group == 0 { scales } else { scales.get(groups..)? };
        emit(acc);
    }
    Some(())
}

/// A sum in two 16-bit values.
fn halves(sum: i32) -> [i16; 2] {
    [sum as i16, (sum >> 16) as i16]
}

/// The sum in two 16-bit values.
fn whole(halves: &[i16]) -> Option<i32> {
    match *halves {
        [low, high] => Some(i32::from(low as u16) | (i32::from(high) << 16)),
        _ => None,
    }
}

/// Rows of unsigned codes, two by two, the last by itself; their products are brought to those of the values, `q − 8` and
/// `2q − 3`, by what the sum of each group's integers contributes.
#[inline(always)]
fn twos<const BITS: usize>(
    w: &Weights,
    (x, pairs): (&[i16], &[u32]),
    sums: &mut [i16],
    mut emit: impl FnMut(i32),
) -> Option<()> {
    let stride = w.row_bytes();
    let (bytes, span) = spans(w)?;
    let groups = w.groups();
    let (factor, offset) = if BITS == 4 { (1_i32, 8_i32) } else { (2, 3) };
    let sums = sums.get_mut(..groups.checked_mul(2)?)?;
    for (sum, x) in sums.chunks_exact_mut(2).zip(x.chunks_exact(span.checked_mul(2)?.max(1))) {
        let total = x.iter().fold(0, |sum: i32, &x| sum.wrapping_add(x.into()));
        sum.iter_mut().zip(halves(total.wrapping_mul(offset))).for_each(|(sum, half)| *sum = half);
    }
    let scale = |row: &[i8], g: usize| if w.group == 0 { Some(1) } else { row.get(g).map(|&s| i32::from(s)) };
    let scale_step = if w.group == 0 { 0 } else { groups };
    let mut data = w.data;
    let mut scales = w.scales;
    for _ in 0..w.outputs / 2 {
        let (mut a, mut b) = (0_i32, 0_i32);
        let (first, second) = (scales, scales.get(scale_step..)?);
        let spans = pairs.chunks_exact(span).zip(sums.chunks_exact(2));
        if w.group == 0 {
            for (pairs, sum) in spans {
                let [p, q] = two_rows::<BITS>(data, stride, pairs)?;
                let sum = whole(sum)?;
                (a, b) = (p.wrapping_mul(factor).wrapping_sub(sum), q.wrapping_mul(factor).wrapping_sub(sum));
            }
        } else {
            let mut at = data;
            for (((pairs, sum), &s), &t) in spans.zip(first).zip(second) {
                let [p, q] = two_rows::<BITS>(at, stride, pairs)?;
                let sum = whole(sum)?;
                a = a.wrapping_add(p.wrapping_mul(factor).wrapping_sub(sum).wrapping_mul(s.into()));
                b = b.wrapping_add(q.wrapping_mul(factor).wrapping_sub(sum).wrapping_mul(t.into()));
                at = at.get(bytes..)?;
            }
        }
        emit(a);
        emit(b);
        data = data.get(stride.checked_mul(2)?..)?;
        scales = second.get(scale_step..)?;
    }
    for row in data.chunks_exact(stride.max(1)) {
        let mut acc = 0_i32;
        let parts = row.chunks_exact(bytes).zip(pairs.chunks_exact(span)).zip(sums.chunks_exact(2));
        for (g, ((row, pairs), sum)) in parts.enumerate() {
            let dot = one_row::<BITS>(row, pairs).wrapping_mul(factor).wrapping_sub(whole(sum)?);
            acc = acc.wrapping_add(dot.wrapping_mul(scale(scales, g)?));
        }
        scales = scales.get(scale_step..)?;
        emit(acc);
    }
    Some(())
}
