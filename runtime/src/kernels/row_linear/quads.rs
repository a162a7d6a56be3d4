//! Matrix products over rows that take four rows of int8 at a time, for cores whose loads cost as much as their products.

use super::drive::Dots;
use super::fours::{self, Accumulators, Fours};
use super::{MlpUp, Weights, portable};
use crate::arch::dot4_wide;

/// See [`super::reference::row_linear`].
pub fn row_linear(w: &Weights, x: &[i16], out: &mut [i32], add: bool, scratch: &mut [i16]) -> Option<()> {
    fours::row_linear::<Quads>(w, x, out, add, scratch)
}

/// See [`super::reference::mlp_up`]; the scratch holds the results of a row, and a row of inputs.
pub fn mlp_up(p: &MlpUp, w: &Weights, x: &[i16], out: &mut [i16], scratch: (&mut [i32], &mut [i16])) -> Option<()> {
    fours::mlp_up::<Quads>(p, w, x, out, scratch)
}

struct Quads;

impl Fours for Quads {
    #[inline(always)]
    fn each(w: &Weights, x: &[i16], scratch: &mut [i16], to: &mut impl Accumulators) -> Option<()> {
        if w.group != 0 || w.bits != 8 {
            return one_by_one(w, x, scratch, to);
        }
        let row = w.row_bytes().max(1);
        let mut rest = w.data;
        while let Some((quad, tail)) = rest.split_at_checked(row.saturating_mul(4)) {
            to.take(dot4_wide(x, quad)?, 4);
            rest = tail;
        }
        let last = Weights { data: rest, ..*w };
        one_by_one(&last, x, scratch, to)
    }
}

/// What is not worth a loop of its own, gathered in fours.
#[inline(never)]
fn one_by_one(w: &Weights, x: &[i16], scratch: &mut [i16], to: &mut impl Accumulators) -> Option<()> {
    let (mut four, mut count) = ([0; 4], 0);
    portable::Portable::each(w, x, scratch, |acc| {
        if let Some(sum) = four.get_mut(count) {
            *sum = acc;
        }
        count += 1;
        if count == 4 {
            to.take_last(four, 4);
            count = 0;
        }
    })?;
    if count > 0 {
        to.take_last(four, count);
    }
    Some(())
}
