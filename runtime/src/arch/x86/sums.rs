#![allow(unsafe_code)]
//! Sums of two int8 operands of one shape, sixteen elements at a time.

use core::arch::x86_64::__m128i;

use super::results::requantize;
use super::set::{LANES, Set};
use crate::fixed::Rounding;
use crate::kernels::Binary;
use crate::kernels::elementwise::{Add, AddTfLite, Broadcast};

/// Operands and output, as far as all of them are as long.
struct Operands {
    a: *const i8,
    b: *const i8,
    y: *mut i8,
    len: usize,
}

impl Operands {
    /// `None` where an operand is repeated.
    fn new(shape: &Broadcast, operands: &mut Binary<'_, i8>) -> Option<Self> {
        if shape.a != shape.out || shape.b != shape.out {
            return None;
        }
        let (a, b, y) = match operands {
            Binary::Apart(a, b, y) => (Some(&**a), Some(&**b), &mut **y),
            Binary::InPlaceFirst(y, b) => (None, Some(&**b), &mut **y),
            Binary::InPlaceSecond(a, y) => (Some(&**a), None, &mut **y),
            Binary::InPlaceBoth(y) => (None, None, &mut **y),
        };
        let len = y.len();
        let fits = |x: Option<&[i8]>| x.is_none_or(|x| x.len() == len);
        let known = fits(a) && fits(b) && crate::kernels::nest::elements(shape.out) == Some(len);
        let y = y.as_mut_ptr();
        let start = |x: Option<&[i8]>| x.map_or(y.cast_const(), <[i8]>::as_ptr);
        known.then(|| Self { a: start(a), b: start(b), y, len })
    }

    /// `f` of sixteen elements of both at a time.
    #[inline(always)]
    fn map<S: Set>(&self, f: impl Sum<S>) {
        for at in (0..self.len).step_by(LANES) {
            let count = (self.len - at).min(LANES);
            // SAFETY: the caller of `new` holds the slices; only elements that there are are read, then written.
            unsafe {
                let [a, b] = [self.a, self.b].map(|x| S::part(x.add(at), count));
                S::store(self.y.add(at), count, f.of(S::widen(a), S::widen(b)));
            }
        }
    }
}

/// A sum: a type instead of a closure, which would not surely have the instructions of `S`.
trait Sum<S: Set> {
    /// Of sixteen elements of both operands.
    fn of(&self, a: S::Words, b: S::Words) -> __m128i;
}

/// Bias and factors of [`Add`].
struct Rescaled<S: Set> {
    factors: [S::Words; 2],
    start: S::Words,
    shift: i32,
    ends: S::Ends,
}

impl<S: Set> Sum<S> for Rescaled<S> {
    #[inline(always)]
    fn of(&self, a: S::Words, b: S::Words) -> __m128i {
        let [a_factor, b_factor] = self.factors;
        let sum = S::add(S::mul(a, a_factor), S::mul(b, b_factor));
        S::land(S::down(S::add(sum, self.start), self.shift), &self.ends)
    }
}

/// What [`AddTfLite`] says.
struct TfLite<'a, S: Set> {
    p: &'a AddTfLite<'a>,
    zero_points: [S::Words; 2],
    ends: S::Ends,
}

impl<S: Set> Sum<S> for TfLite<'_, S> {
    #[inline(always)]
    fn of(&self, a: S::Words, b: S::Words) -> __m128i {
        let (p, [a_zero, b_zero]) = (self.p, self.zero_points);
        let (a, b) = (S::sub(a, a_zero), S::sub(b, b_zero));
        let (coarse, fine) = if p.fine_first { (b, a) } else { (a, b) };
        let fine = requantize::<S>(S::up(fine, p.fine.1.min(21).into()), p.fine.0);
        let coarse = S::up(coarse, 19);
        let sum = match (p.difference, p.fine_first) {
            (false, _) => S::add(coarse, fine),
            (true, true) => S::sub(fine, coarse),
            (true, false) => S::sub(coarse, fine),
        };
        S::land(requantize::<S>(sum, p.sum), &self.ends)
    }
}

/// See [`crate::kernels::elementwise::reference::add`]. `None`, and nothing is written, where the plain kernel must do it.
pub fn add(p: &Add<i8>, operands: &mut Binary<'_, i8>) -> Option<()> {
    #[inline(always)]
    fn wide<S: Set>(p: &Add<i8>, operands: &Operands) -> Option<()> {
        let share = |zero_point: i32, mult: i32| zero_point.wrapping_neg().wrapping_mul(mult);
        let half = if p.shift == 0 { 0 } else { 1 << (p.shift - 1) };
        let start = share(p.a.zero_point, p.a.mult).wrapping_add(share(p.b.zero_point, p.b.mult)).wrapping_add(half);
        operands.map::<S>(Rescaled {
            factors: [S::splat(p.a.mult), S::splat(p.b.mult)],
            start: S::splat(start),
            shift: p.shift.into(),
            ends: S::ends(&p.output),
        });
        Some(())
    }
    // Within these bounds, which verification proves, no sum leaves the range in which rounding is exact.
    let bounded = p.shift <= 30 && [&p.a, &p.b].iter().all(|t| t.mult.unsigned_abs() <= 1 << 21 && zero(t.zero_point));
    if !bounded || !zero(p.output.zero_point) {
        return None;
    }
    let operands = &Operands::new(&p.shape, operands)?;
    at_widest!(wide(p: &Add<i8>, operands: &Operands))
}

/// Whether it is a zero point of int8.
fn zero(zero_point: i32) -> bool {
    (-128..=127).contains(&zero_point)
}

/// See [`crate::kernels::elementwise::reference::add_tflite`]; as [`add`].
pub fn add_tflite(p: &AddTfLite, operands: &mut Binary<'_, i8>) -> Option<()> {
    #[inline(always)]
    fn wide<S: Set>(p: &AddTfLite, operands: &Operands) -> Option<()> {
        let [a_zero, b_zero] = p.zero_points;
        operands.map::<S>(TfLite { p, zero_points: [S::splat(a_zero), S::splat(b_zero)], ends: S::ends(&p.output) });
        Some(())
    }
    let known = [p.fine.0, p.sum].iter().all(|m| m.rounding() == Rounding::TfLite && m.is_valid());
    if !known || !p.zero_points.into_iter().chain([p.output.zero_point]).all(zero) {
        return None;
    }
    let operands = &Operands::new(&p.shape, operands)?;
    at_widest!(wide(p: &AddTfLite, operands: &Operands))
}
