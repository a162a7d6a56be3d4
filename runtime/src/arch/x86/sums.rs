#![allow(unsafe_code)]
//! Sums of two int8 operands of one shape, sixteen elements at a time.

use core::arch::x86_64::__m128i;

use super::set::{LANES, Set};
use crate::fixed::{MIN_TFLITE_SHIFT, Multiplier, Rounding, TFLITE_FLAG};
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
        let whole = self.len & !(LANES - 1);
        for at in (0..whole).step_by(LANES) {
            self.map_at(&f, at, LANES);
        }
        if whole < self.len {
            self.map_at(&f, whole, self.len - whole);
        }
    }

    /// `f` of `count` elements from `at` on.
    #[inline(always)]
    fn map_at<S: Set>(&self, f: &impl Sum<S>, at: usize, count: usize) {
        debug_assert!(at + count <= self.len);
        // SAFETY: the caller of `new` holds the slices; only elements that there are are read, then written.
        unsafe {
            let (a, b) = (S::part(self.a.add(at), count), S::part(self.b.add(at), count));
            S::store(self.y.add(at), count, f.of(S::widen(a), S::widen(b)));
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

/// Factors of [`AddTfLite`], of which the first operand here is the one with the larger scale.
///
/// The first rounding of the finer operand x, `⌊x · 2^up · m / 2^31 + ½⌋`, needs no long product: with `d = 31 − up` and
/// `m = 2^d · high + low` it is `x · high + ⌊(x · low + 2^(d−1)) / 2^d⌋`.
struct TfLite<S: Set> {
    fine_first: bool,
    difference: bool,
    /// Of the coarse and the fine operand.
    zero_points: [S::Words; 2],
    high: S::Words,
    low: S::Words,
    half: S::Words,
    down: i32,
    fine: Away<S>,
    sum_factor: S::Words,
    sum: Away<S>,
    ends: S::Ends,
}

impl<S: Set> TfLite<S> {
    #[inline(always)]
    fn new(p: &AddTfLite) -> Self {
        let ((fine, up), [a_zero, b_zero]) = (p.fine, p.zero_points);
        let zero_points = if p.fine_first { [b_zero, a_zero] } else { [a_zero, b_zero] };
        let down = 31 - i32::from(up.min(30));
        Self {
            fine_first: p.fine_first,
            difference: p.difference,
            zero_points: zero_points.map(|zero| S::splat(zero)),
            high: S::splat(fine.mult >> down),
            low: S::splat(fine.mult & ((1 << down) - 1)),
            half: S::splat(1 << (down - 1)),
            down,
            fine: Away::new(fine),
            sum_factor: S::splat(p.sum.mult),
            sum: Away::new(p.sum),
            ends: S::ends(&p.output),
        }
    }
}

impl<S: Set> Sum<S> for TfLite<S> {
    /// Nothing overflows: `|x| ≤ 255` and `up ≤ 21`, so that its share is below 2^30 before the second rounding and 2^29 behind it;
    /// the other operand's is below 2^27.
    #[inline(always)]
    fn of(&self, coarse: S::Words, x: S::Words) -> __m128i {
        let [coarse_zero, zero] = self.zero_points;
        let (coarse, x) = (S::sub(coarse, coarse_zero), S::sub(x, zero));
        let low = S::down(S::add(S::mul(x, self.low), self.half), self.down);
        let fine = self.fine.round(S::add(S::mul(x, self.high), low));
        let coarse = S::up(coarse, 19);
        let sum = match (self.difference, self.fine_first) {
            (false, _) => S::add(coarse, fine),
            (true, true) => S::sub(fine, coarse),
            (true, false) => S::sub(coarse, fine),
        };
        S::land(self.sum.round(S::doubled_high(sum, self.sum_factor)), &self.ends)
    }
}

/// The second rounding of [`crate::fixed::requantize_tflite`], of numbers q below 2^30: `⌊(q + 2^(e−1) − (q < 0)) / 2^e⌋`.
struct Away<S: Set> {
    half: S::Words,
    exponent: i32,
}

impl<S: Set> Away<S> {
    #[inline(always)]
    fn new(m: Multiplier) -> Self {
        let shift = i32::from(m.shift) - i32::from(TFLITE_FLAG | MIN_TFLITE_SHIFT);
        Self { half: S::splat(1 << shift.clamp(0, 30)), exponent: shift.clamp(0, 30) + 1 }
    }

    #[inline(always)]
    fn round(&self, q: S::Words) -> S::Words {
        S::down(S::add(S::add(q, S::down(q, 31)), self.half), self.exponent)
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
        operands.map::<S>(TfLite::new(p));
        Some(())
    }
    let known = [p.fine.0, p.sum].iter().all(|m| m.rounding() == Rounding::TfLite && m.is_valid());
    // The bits that its factor's lower part has leave room for eight more.
    let known = known && (9..=21).contains(&p.fine.1);
    if !known || !p.zero_points.into_iter().chain([p.output.zero_point]).all(zero) {
        return None;
    }
    let mut operands = Operands::new(&p.shape, operands)?;
    if p.fine_first {
        (operands.a, operands.b) = (operands.b, operands.a);
    }
    let operands = &operands;
    at_widest!(wide(p: &AddTfLite, operands: &Operands))
}
