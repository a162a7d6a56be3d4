//! Attention in plain Rust that any target runs well.

use super::drive::{self, Dots};
use super::{Attention, Cache, Operands, Scratch};

/// See [`super::reference::attention`].
pub fn attention(
    p: &Attention,
    position: i32,
    operands: &Operands,
    cache: &mut Cache,
    out: &mut [i16],
    scratch: &mut Scratch,
) -> Option<()> {
    drive::attention::<Portable>(p, position, operands, cache, out, scratch)
}

/// Products in plain Rust.
pub struct Portable;

/// `Σ a·b` of each row of `b`.
#[inline(always)]
pub(super) fn rows<D: Dots>(a: &[i16], b: &[i8], stride: usize, out: &mut [i32]) -> Option<()> {
    let rows = b.chunks_exact(stride.max(1));
    out.iter_mut().zip(rows).for_each(|(out, row)| *out = D::dot8(a, row));
    Some(())
}

impl Dots for Portable {
    #[inline(always)]
    fn ordered(_values: &mut [i16]) {}

    #[inline(always)]
    fn rows(a: &[i16], b: &[i8], stride: usize, out: &mut [i32]) -> Option<()> {
        rows::<Self>(a, b, stride, out)
    }

    #[inline(always)]
    fn dot8(a: &[i16], b: &[i8]) -> i32 {
        a.iter().zip(b).fold(0, |acc: i32, (&a, &b)| acc.wrapping_add(i32::from(a) * i32::from(b)))
    }

    #[inline(always)]
    fn dot16(a: &[i16], b: &[i16]) -> i32 {
        a.iter().zip(b).fold(0, |acc: i32, (&a, &b)| acc.wrapping_add(i32::from(a) * i32::from(b)))
    }
}
