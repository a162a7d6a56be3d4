//! Recurrences in plain Rust that any target runs well: each row of the weights is read once a step, in order.

use super::{CellState, Recurrence, Rows, Scratch, gated, gru_cell, lstm_cell, weighted};
use crate::fixed::{requantize, sigmoid, tanh};
use crate::kernels::{Accumulator, Element};

impl Rows<'_> {
    /// Calls `each` with every output and the sum of its row, in Q12.20.
    #[inline(always)]
    fn apply<E: Element>(
        &self,
        rows: core::ops::Range<usize>,
        x: &[E],
        zero_point: i32,
        out: &mut [i32],
        each: impl Fn(&mut i32, i32),
    ) -> Option<()> {
        let weights = self.weights.get(rows.start.checked_mul(x.len())?..)?.chunks_exact(x.len().max(1));
        let factors = self.mult.get(rows.clone())?.iter().zip(self.shift.get(rows)?);
        for ((out, row), (&mult, &shift)) in out.iter_mut().zip(weights).zip(factors) {
            let sum = row
                .iter()
                .zip(x)
                .fold(E::Sum::default(), |sum, (&w, x)| sum.plus_product(x.widen().wrapping_sub(zero_point), w.into()));
            each(out, weighted::<E>(sum, mult, shift));
        }
        Some(())
    }
}

/// Calls `step` for each element of the sequences in time: the input, the sequence's number, and its output.
#[inline(always)]
fn steps<E>(
    p: &Recurrence,
    x: &[E],
    y: &mut [E],
    mut step: impl FnMut(&[E], usize, &mut [E]) -> Option<()>,
) -> Option<()> {
    for i in 0..p.steps {
        for b in 0..p.batch {
            let at = p.step(i).checked_mul(p.batch)?.checked_add(b)?;
            let x = x.get(at.checked_mul(p.inputs)?..)?.get(..p.inputs)?;
            step(x, b, y.get_mut(at.checked_mul(p.hidden)?..)?.get_mut(..p.hidden)?)?;
        }
    }
    Some(())
}

/// The part of sequence `b`.
#[inline(always)]
fn part<T>(all: &mut [T], b: usize, hidden: usize) -> Option<&mut [T]> {
    all.get_mut(b.checked_mul(hidden)?..)?.get_mut(..hidden)
}

/// `sums = bias + W·x + R·h` of all gates.
#[inline(always)]
fn gates<E: Element>(p: &Recurrence, x: &[E], h: &[E], sums: &mut [i32]) -> Option<()> {
    let all = 0..sums.len();
    p.input.apply(all.clone(), x, p.x_zero_point, sums, |out, sum| *out = sum)?;
    p.state.apply(all, h, p.y_zero_point, sums, |out, sum| *out = out.saturating_add(sum))?;
    sums.iter_mut().zip(p.bias).for_each(|(sum, &bias)| *sum = sum.saturating_add(bias));
    Some(())
}

/// See [`super::reference::lstm`].
pub fn lstm<E: Element>(
    p: &Recurrence,
    cell: &CellState,
    [x, h, c]: [&[E]; 3],
    y: &mut [E],
    c_last: &mut [E],
    scratch: Scratch<'_, E>,
) -> Option<()> {
    let n = p.hidden;
    let (sums, exact) = scratch.words.split_at_mut_checked(n.checked_mul(4)?)?;
    let states = scratch.elements;
    for (state, h) in states.iter_mut().zip(h) {
        *state = p.element(h.widen().wrapping_sub(p.h_zero_point), p.h_in);
    }
    for (state, c) in exact.iter_mut().zip(c) {
        *state = requantize(c.widen().wrapping_sub(cell.in_zero_point), cell.c_in);
    }
    steps(p, x, y, |x, b, y| {
        let h = part(states, b, n)?;
        gates(p, x, h, sums)?;
        let (i, rest) = sums.split_at_checked(n)?;
        let (o, rest) = rest.split_at_checked(n)?;
        let (f, g) = rest.split_at_checked(n)?;
        let gates = i.iter().zip(o).zip(f.iter().zip(g));
        for (((h, c), y), ((&i, &o), (&f, &g))) in h.iter_mut().zip(part(exact, b, n)?).zip(y).zip(gates) {
            let (new, state) = lstm_cell([i, o, f, g], *c);
            *c = new;
            *h = p.element(state, p.h_out);
            *y = *h;
        }
        Some(())
    })?;
    for (out, &c) in c_last.iter_mut().zip(exact.iter()) {
        *out = E::saturate(requantize(c, cell.c_out).saturating_add(cell.out_zero_point));
    }
    Some(())
}

/// See [`super::reference::gru`].
pub fn gru<E: Element>(
    p: &Recurrence,
    linear: bool,
    [x, h]: [&[E]; 2],
    y: &mut [E],
    scratch: Scratch<'_, E>,
) -> Option<()> {
    let n = p.hidden;
    let (sums, exact) = scratch.words.split_at_mut_checked(n.checked_mul(4)?)?;
    let (states, reset) = scratch.elements.split_at_mut_checked(p.batch.checked_mul(n)?)?;
    for ((state, exact), h) in states.iter_mut().zip(exact.iter_mut()).zip(h) {
        *exact = requantize(h.widen().wrapping_sub(p.h_zero_point), p.h_in);
        *state = p.element(*exact, p.h_out);
    }
    let (gate_bias, new_bias) = p.bias.split_at_checked(n.checked_mul(2)?)?;
    let (outer_bias, inner_bias) = new_bias.split_at_checked(n)?;
    let new_rows = n.checked_mul(2)?..n.checked_mul(3)?;
    steps(p, x, y, |x, b, y| {
        let h = part(states, b, n)?;
        let (zr, rest) = sums.split_at_mut_checked(n.checked_mul(2)?)?;
        let (outer, inner) = rest.split_at_mut_checked(n)?;
        p.input.apply(0..zr.len(), x, p.x_zero_point, zr, |out, sum| *out = sum)?;
        p.state.apply(0..zr.len(), h, p.y_zero_point, zr, |out, sum| *out = out.saturating_add(sum))?;
        zr.iter_mut().zip(gate_bias).for_each(|(sum, &bias)| *sum = sigmoid(sum.saturating_add(bias)));
        let (z, r) = zr.split_at_checked(n)?;
        if linear {
            p.state.apply(new_rows.clone(), h, p.y_zero_point, inner, |out, sum| *out = sum)?;
        } else {
            for ((reset, h), &r) in reset.iter_mut().zip(h.iter()).zip(r) {
                let kept = gated(r, h.widen().wrapping_sub(p.y_zero_point));
                *reset = E::saturate(kept.wrapping_add(p.y_zero_point));
            }
            p.state.apply(new_rows.clone(), reset.get(..n)?, p.y_zero_point, inner, |out, sum| *out = sum)?;
        }
        p.input.apply(new_rows.clone(), x, p.x_zero_point, outer, |out, sum| *out = sum)?;
        let candidates = outer.iter().zip(outer_bias).zip(inner.iter().zip(inner_bias));
        let gates = z.iter().zip(r).zip(candidates);
        let states = h.iter_mut().zip(part(exact, b, n)?).zip(y);
        for (((h, exact), y), ((&z, &r), ((&outer, &outer_bias), (&inner, &inner_bias)))) in states.zip(gates) {
            let inner = inner.saturating_add(inner_bias);
            let inner = if linear { gated(r, inner) } else { inner };
            let new = tanh(outer.saturating_add(outer_bias).saturating_add(inner));
            *exact = gru_cell(z, new, *exact);
            *h = p.element(*exact, p.h_out);
            *y = *h;
        }
        Some(())
    })
}

/// See [`super::reference::rnn`].
pub fn rnn<E: Element>(
    p: &Recurrence,
    relu: bool,
    [x, h]: [&[E]; 2],
    y: &mut [E],
    scratch: Scratch<'_, E>,
) -> Option<()> {
    let n = p.hidden;
    let sums = scratch.words.get_mut(..n)?;
    let states = scratch.elements;
    for (state, h) in states.iter_mut().zip(h) {
        *state = p.element(h.widen().wrapping_sub(p.h_zero_point), p.h_in);
    }
    steps(p, x, y, |x, b, y| {
        let h = part(states, b, n)?;
        gates(p, x, h, sums)?;
        for ((h, y), &a) in h.iter_mut().zip(y).zip(sums.iter()) {
            *h = p.element(if relu { a.max(0) } else { tanh(a) }, p.h_out);
            *y = *h;
        }
        Some(())
    })
}
