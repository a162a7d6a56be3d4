//! The row operators over the products of a variant that gives the accumulators of four outputs at a time.

use super::epilogue::{Gate, product};
use super::{MlpUp, Weights, scaled_for, wide};
use crate::fixed::{CommonShift, RowScale};
use crate::kernels::rows::{HEADER, WIDE_UNIT, quantize, side_by_side, split};

/// What a variant supplies: the accumulators of a row.
pub(super) trait Fours {
    /// Tells `to` [`super::reference::dot`] of each output, in order. `scratch` holds [`Weights::halves`].
    fn each(w: &Weights, x: &[i16], scratch: &mut [i16], to: &mut impl Accumulators) -> Option<()>;
}

/// What takes accumulators, four at a time.
pub(super) trait Accumulators {
    /// The next four; the last time fewer may count, as many as `count` says.
    fn take(&mut self, acc: [i32; 4], count: usize);

    /// [`Accumulators::take`] where it is not often called.
    #[inline(never)]
    fn take_last(&mut self, acc: [i32; 4], count: usize) {
        self.take(acc, count);
    }
}

/// Makes wide values of a row's accumulators.
struct Finish<'a> {
    row: RowScale,
    common: CommonShift,
    mult: &'a [i32],
    bias: &'a [i32],
}

impl<'a> Finish<'a> {
    #[inline(always)]
    fn new(scale: RowScale, w: &Weights<'a>, x: &[i16]) -> Self {
        let (row, common) = scaled_for(scale, w, x);
        Self { row, common, mult: w.mult, bias: w.bias }
    }

    /// The values of the next `count` outputs: the rest of the four is of no use.
    #[inline(always)]
    fn next(&mut self, acc: [i32; 4], count: usize) -> Option<[i32; 4]> {
        if let (4, Some((mult, rest)), Some(high)) = (count, self.mult.split_first_chunk::<4>(), self.common.high())
            && self.bias.is_empty()
        {
            self.mult = rest;
            let [a, b, c, d] = acc;
            let &[m, n, o, p] = mult;
            let mant = self.row.mant;
            let y = |acc, mult: i32| high.requantize(acc, mult.wrapping_mul(mant));
            return Some([y(a, m), y(b, n), y(c, o), y(d, p)]);
        }
        self.slow(acc, count)
    }

    #[inline(never)]
    fn slow(&mut self, acc: [i32; 4], count: usize) -> Option<[i32; 4]> {
        let mut y = [0; 4];
        for (y, acc) in y.iter_mut().zip(acc).take(count) {
            let (&mult, rest) = self.mult.split_first()?;
            self.mult = rest;
            let bias = match self.bias.split_first() {
                Some((&bias, rest)) => {
                    self.bias = rest;
                    bias
                }
                None => 0,
            };
            *y = wide(acc, (self.row, self.common), (mult, bias));
        }
        Some(y)
    }
}

/// Writes wide values, or adds them.
struct Wide<'a> {
    finish: Finish<'a>,
    out: &'a mut [i32],
    add: bool,
}

impl Accumulators for Wide<'_> {
    #[inline(always)]
    fn take(&mut self, acc: [i32; 4], count: usize) {
        let Some(y) = self.finish.next(acc, count) else { return };
        let Some((head, rest)) = core::mem::take(&mut self.out).split_at_mut_checked(count) else { return };
        self.out = rest;
        match (head.first_chunk_mut::<4>(), self.add) {
            (Some(head), false) => *head = y,
            (Some(head), true) => {
                let [a, b, c, d] = y;
                let [p, q, r, s] = *head;
                *head = [p.saturating_add(a), q.saturating_add(b), r.saturating_add(c), s.saturating_add(d)];
            }
            (None, add) => {
                for (out, y) in head.iter_mut().zip(y) {
                    *out = if add { out.saturating_add(y) } else { y };
                }
            }
        }
    }
}

/// [`super::reference::row_linear`].
#[inline(always)]
pub(super) fn row_linear<D: Fours>(
    w: &Weights,
    x: &[i16],
    out: &mut [i32],
    add: bool,
    scratch: &mut [i16],
) -> Option<()> {
    let rows = side_by_side((x, w.inputs.checked_add(HEADER)?), (out, w.outputs));
    for (x, out) in rows {
        let (scale, x) = split(x)?;
        D::each(w, x, scratch, &mut Wide { finish: Finish::new(scale, w, x), out, add })?;
    }
    Some(())
}

/// Writes the results of an MLP's first half.
struct Hidden<'a> {
    finish: Finish<'a>,
    p: &'a MlpUp<'a>,
    results: core::slice::IterMut<'a, i32>,
}

impl Accumulators for Hidden<'_> {
    #[inline(always)]
    fn take(&mut self, acc: [i32; 4], count: usize) {
        let Some(y) = self.finish.next(acc, count) else { return };
        if self.p.gated {
            let (pairs, _) = y.as_chunks::<2>();
            for (&[gate, up], hidden) in pairs.iter().take(count / 2).zip(&mut self.results) {
                *hidden = product(self.p.activation.apply(gate), up);
            }
        } else {
            for (y, hidden) in y.into_iter().take(count).zip(&mut self.results) {
                *hidden = self.p.activation.apply(y);
            }
        }
    }
}

/// [`Hidden`] with a gate table, as nearly all models have it.
struct Gated<'a> {
    finish: Finish<'a>,
    gate: Gate<'a>,
    results: &'a mut [i32],
}

impl Accumulators for Gated<'_> {
    #[inline(always)]
    fn take(&mut self, acc: [i32; 4], count: usize) {
        let Some([a, b, c, d]) = self.finish.next(acc, count) else { return };
        let Some((head, rest)) = core::mem::take(&mut self.results).split_at_mut_checked(count / 2) else { return };
        self.results = rest;
        match head {
            [first, second] => {
                *first = product(self.gate.apply(a), b);
                *second = product(self.gate.apply(c), d);
            }
            [first] => *first = product(self.gate.apply(a), b),
            _ => {}
        }
    }
}

/// [`super::reference::mlp_up`]; `hidden` holds the results of a row.
#[inline(always)]
pub(super) fn mlp_up<D: Fours>(
    p: &MlpUp,
    w: &Weights,
    x: &[i16],
    out: &mut [i16],
    (hidden, scratch): (&mut [i32], &mut [i16]),
) -> Option<()> {
    let out_len = out.len().checked_div(x.len().checked_div(w.inputs.checked_add(HEADER)?)?)?;
    let rows = side_by_side((x, w.inputs.checked_add(HEADER)?), (out, out_len));
    for (x, out) in rows {
        let (scale, x) = split(x)?;
        let (finish, results) = (Finish::new(scale, w, x), hidden.iter_mut());
        match (p.gated, p.activation.gate()) {
            (true, Some(gate)) => D::each(w, x, scratch, &mut Gated { finish, gate, results: results.into_slice() })?,
            _ => D::each(w, x, scratch, &mut Hidden { finish, p, results })?,
        }
        quantize(hidden, WIDE_UNIT, p.bits, out)?;
    }
    Some(())
}
