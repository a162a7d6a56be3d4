//! The specification of the recurrences. Never optimised.
//!
//! In all of them `a[k] = R(Σ_i w[k,i]·(x[t,b,i] − z_x), m_k) ⊕ R(Σ_j r[k,j]·(h[j] − z_y), m'_k) ⊕ bias[k]` in Q12.20, with
//! R the [`crate::fixed::requantize`] of the element's accumulator, ⊕ the saturating sum, and h the elements of the
//! output one step before (at first the given state, brought to the output's scale).
#![allow(clippy::indexing_slicing, clippy::needless_range_loop, reason = "the specification reads like its formula")]

use super::{CellState, Recurrence, Rows, Scratch, gated, gru_cell, lstm_cell, weighted};
use crate::fixed::{requantize, sigmoid, tanh};
use crate::kernels::{Accumulator, Element};

/// The sum of row `k`, in Q12.20.
fn row<E: Element>(rows: &Rows, k: usize, x: &[E], zero_point: i32) -> i32 {
    let mut sum = E::Sum::default();
    for (i, value) in x.iter().enumerate() {
        sum = sum.plus_product(value.widen() - zero_point, rows.weights[k * x.len() + i].into());
    }
    weighted::<E>(sum, rows.mult[k], rows.shift[k])
}

/// The given state as elements of the output.
fn begin<E: Element>(p: &Recurrence, h: &[E], states: &mut [E]) {
    for (state, h) in states.iter_mut().zip(h) {
        *state = p.element(h.widen() - p.h_zero_point, p.h_in);
    }
}

/// Long short-term memory, gates i, o, f, g.
///
/// `(c', h') = lstm_cell(a_i, a_o, a_f, a_g, c)`, `y = sat(z_y + R(h', h_out))`; see [`lstm_cell`]
///
/// * `x`: `(steps, batch, inputs)`; `h`, `c`: `(batch, hidden)`; `y`: `(steps, batch, hidden)`; `c_last`: as c
/// * weights: `(4·hidden, inputs)`, `(4·hidden, hidden)`; biases: `(4·hidden)`
/// * source: Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997; gates as in ONNX's operator LSTM
pub fn lstm<E: Element>(
    p: &Recurrence,
    cell: &CellState,
    [x, h, c]: [&[E]; 3],
    y: &mut [E],
    c_last: &mut [E],
    scratch: Scratch<'_, E>,
) -> Option<()> {
    let n = p.hidden;
    let (new, exact) = scratch.words.split_at_mut(4 * n);
    let states = scratch.elements;
    begin(p, h, states);
    for (exact, c) in exact.iter_mut().zip(c) {
        *exact = requantize(c.widen() - cell.in_zero_point, cell.c_in);
    }
    for i in 0..p.steps {
        for b in 0..p.batch {
            let at = p.step(i) * p.batch + b;
            let (x, h) = (&x[at * p.inputs..(at + 1) * p.inputs], &mut states[b * n..(b + 1) * n]);
            for j in 0..n {
                let gates = [0, 1, 2, 3].map(|gate| {
                    let k = gate * n + j;
                    let from_x = row(&p.input, k, x, p.x_zero_point);
                    from_x.saturating_add(row(&p.state, k, h, p.y_zero_point)).saturating_add(p.bias[k])
                });
                (exact[b * n + j], new[j]) = lstm_cell(gates, exact[b * n + j]);
            }
            for j in 0..n {
                h[j] = p.element(new[j], p.h_out);
                y[at * n + j] = h[j];
            }
        }
    }
    for (out, &c) in c_last.iter_mut().zip(exact.iter()) {
        *out = E::saturate(requantize(c, cell.c_out).saturating_add(cell.out_zero_point));
    }
    Some(())
}

/// Gated recurrent unit, gates z, r, n; `linear` if the reset comes after the product with the recurrent weights.
///
/// `h' = gru_cell(σ(a_z), tanh(n), h)` with the exact state h in Q8.24, `y = sat(z_y + R(h', h_out))`, and
///
/// * linear: `n = R(Σ w·x, m) ⊕ bias_2 ⊕ gated(σ(a_r), R(Σ r·h, m') ⊕ bias_3)`
/// * else: `n = R(Σ w·x, m) ⊕ bias_2 ⊕ R(Σ r·(s − z_y), m') ⊕ bias_3` with `s = sat(z_y + gated(σ(a_r), h − z_y))`
///
/// * shapes: as [`lstm`] with three gates; biases: `(4·hidden)`: of z, of r, and the two of n
/// * source: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014; as ONNX's operator GRU
pub fn gru<E: Element>(
    p: &Recurrence,
    linear: bool,
    [x, h]: [&[E]; 2],
    y: &mut [E],
    scratch: Scratch<'_, E>,
) -> Option<()> {
    let n = p.hidden;
    let (new, exact) = scratch.words.split_at_mut(4 * n);
    let (states, reset) = scratch.elements.split_at_mut(p.batch * n);
    for (exact, h) in exact.iter_mut().zip(h) {
        *exact = requantize(h.widen() - p.h_zero_point, p.h_in);
    }
    for (state, &exact) in states.iter_mut().zip(exact.iter()) {
        *state = p.element(exact, p.h_out);
    }
    for i in 0..p.steps {
        for b in 0..p.batch {
            let at = p.step(i) * p.batch + b;
            let (x, h) = (&x[at * p.inputs..(at + 1) * p.inputs], &mut states[b * n..(b + 1) * n]);
            let from_h = |gate: usize, j: usize, h: &[E]| row(&p.state, gate * n + j, h, p.y_zero_point);
            let from_x = |gate: usize, j: usize| row(&p.input, gate * n + j, x, p.x_zero_point);
            let gate = |gate: usize, j: usize| {
                sigmoid(from_x(gate, j).saturating_add(from_h(gate, j, h)).saturating_add(p.bias[gate * n + j]))
            };
            for j in 0..n {
                reset[j] = E::saturate(gated(gate(1, j), h[j].widen() - p.y_zero_point) + p.y_zero_point);
            }
            for j in 0..n {
                let outer = from_x(2, j).saturating_add(p.bias[2 * n + j]);
                let bias = p.bias[3 * n + j];
                let inner = match linear {
                    true => gated(gate(1, j), from_h(2, j, h).saturating_add(bias)),
                    false => from_h(2, j, reset).saturating_add(bias),
                };
                new[j] = gru_cell(gate(0, j), tanh(outer.saturating_add(inner)), exact[b * n + j]);
            }
            for j in 0..n {
                exact[b * n + j] = new[j];
                h[j] = p.element(new[j], p.h_out);
                y[at * n + j] = h[j];
            }
        }
    }
    Some(())
}

/// Plain recurrence: `h' = tanh(a)` in Q2.30, or, if `relu`, the positive part of a in Q12.20; `y = sat(z_y + R(h', h_out))`.
///
/// * shapes: as [`lstm`] with one gate
/// * source: Elman, "Finding Structure in Time", 1990; as ONNX's operator RNN
pub fn rnn<E: Element>(
    p: &Recurrence,
    relu: bool,
    [x, h]: [&[E]; 2],
    y: &mut [E],
    scratch: Scratch<'_, E>,
) -> Option<()> {
    let (n, states, new) = (p.hidden, scratch.elements, scratch.words);
    begin(p, h, states);
    for i in 0..p.steps {
        for b in 0..p.batch {
            let at = p.step(i) * p.batch + b;
            let (x, h) = (&x[at * p.inputs..(at + 1) * p.inputs], &mut states[b * n..(b + 1) * n]);
            for j in 0..n {
                let from_x = row(&p.input, j, x, p.x_zero_point);
                let a = from_x.saturating_add(row(&p.state, j, h, p.y_zero_point)).saturating_add(p.bias[j]);
                new[j] = if relu { a.max(0) } else { tanh(a) };
            }
            for j in 0..n {
                h[j] = p.element(new[j], p.h_out);
                y[at * n + j] = h[j];
            }
        }
    }
    Some(())
}
