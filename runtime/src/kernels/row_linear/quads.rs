//! Matrix products over rows that take four rows of int8 at a time, for cores whose loads cost as much as their products.

use super::drive::{self, Dots};
use super::{MlpUp, Weights, portable};
use crate::arch::dot4_wide;

/// See [`super::reference::row_linear`].
pub fn row_linear(w: &Weights, x: &[i16], out: &mut [i32], add: bool, scratch: &mut [i16]) -> Option<()> {
    drive::row_linear::<Quads>(w, x, out, add, scratch)
}

/// See [`super::reference::mlp_up`]; the scratch holds the results of a row, and a row of inputs.
pub fn mlp_up(p: &MlpUp, w: &Weights, x: &[i16], out: &mut [i16], scratch: (&mut [i32], &mut [i16])) -> Option<()> {
    drive::mlp_up::<Quads>(p, w, x, out, scratch)
}

struct Quads;

impl Dots for Quads {
    #[inline(always)]
    fn each(w: &Weights, x: &[i16], scratch: &mut [i16], mut emit: impl FnMut(i32)) -> Option<()> {
        if w.group != 0 || w.bits != 8 {
            return portable::Portable::each(w, x, scratch, emit);
        }
        let row = w.row_bytes().max(1);
        let mut rest = w.data;
        while let Some((quad, tail)) = rest.split_at_checked(row.saturating_mul(4)) {
            dot4_wide(x, quad)?.into_iter().for_each(&mut emit);
            rest = tail;
        }
        let last = Weights { data: rest, ..*w };
        portable::Portable::each(&last, x, scratch, emit)
    }
}
