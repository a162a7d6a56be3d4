//! Matrix products over rows in plain Rust that any target runs well.

use super::drive::{self, Dots};
use super::{MlpUp, Weights};

/// See [`super::reference::row_linear`].
pub fn row_linear(w: &Weights, x: &[i16], out: &mut [i32], add: bool, scratch: &mut [i16]) -> Option<()> {
    drive::row_linear::<Portable>(w, x, out, add, scratch)
}

/// See [`super::reference::mlp_up`]; the scratch holds the results of a row, and a row of inputs.
pub fn mlp_up(p: &MlpUp, w: &Weights, x: &[i16], out: &mut [i16], scratch: (&mut [i32], &mut [i16])) -> Option<()> {
    drive::mlp_up::<Portable>(p, w, x, out, scratch)
}

pub(super) struct Portable;

impl Dots for Portable {
    #[inline(always)]
    fn each(w: &Weights, x: &[i16], _scratch: &mut [i16], mut emit: impl FnMut(i32)) -> Option<()> {
        let bytes = w.row_bytes().max(1);
        let groups = w.groups();
        let group = w.inputs.checked_div(groups)?.max(1);
        if w.group == 0 && w.bits == 8 {
            w.data.chunks_exact(bytes).for_each(|row| emit(dot8(row, x)));
            return Some(());
        }
        let group_bytes = bytes.checked_div(groups)?.max(1);
        let mut scales = w.scales.chunks_exact(groups.max(1));
        for row in w.data.chunks_exact(bytes) {
            let scales = if w.group == 0 { &[1] } else { scales.next()? };
            let mut inputs = x.chunks_exact(group);
            let parts = row.chunks_exact(group_bytes).map_while(|w8| Some((w8, inputs.next()?))).zip(scales);
            let sum = |((w8, x), &scale): ((&[u8], &[i16]), &i8)| {
                let dot = match w.bits {
                    8 => dot8(w8, x),
                    4 => dot4(w8, x),
                    _ => dot2(w8, x),
                };
                dot.wrapping_mul(scale.into())
            };
            emit(parts.map(sum).fold(0, i32::wrapping_add));
        }
        Some(())
    }
}

/// `Σ w·x` of weights of 8 bits.
#[inline(always)]
fn dot8(w: &[u8], x: &[i16]) -> i32 {
    w.iter().zip(x).fold(0, |acc: i32, (&w, &x)| acc.wrapping_add(i32::from(w as i8) * i32::from(x)))
}

/// `Σ (q − 8)·x` of weights of 4 bits.
#[inline(always)]
fn dot4(w: &[u8], x: &[i16]) -> i32 {
    w.iter().zip(x.chunks_exact(2)).fold(0, |acc: i32, (&w, x)| match *x {
        [a, b] => {
            let (low, high) = (i32::from(w & 15) - 8, i32::from(w >> 4) - 8);
            acc.wrapping_add(low * i32::from(a)).wrapping_add(high * i32::from(b))
        }
        _ => acc,
    })
}

/// `Σ (2q − 3)·x` of weights of 2 bits.
#[inline(always)]
fn dot2(w: &[u8], x: &[i16]) -> i32 {
    w.iter().zip(x.chunks_exact(4)).fold(0, |acc: i32, (&w, x)| {
        let value = |i: u32| 2 * i32::from((w >> (2 * i)) & 3) - 3;
        (0..).zip(x).fold(acc, |acc, (i, &x)| acc.wrapping_add(value(i) * i32::from(x)))
    })
}
