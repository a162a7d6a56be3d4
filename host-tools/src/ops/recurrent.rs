//! Recurrent layers: LSTM, GRU and plain RNN, one direction.

use anyhow::{Result, bail, ensure};
use ndarray::{Array2, ArrayD, ArrayView2, Axis, Ix2, s};
use teff::fixed::{GATE_BITS, GATE_INPUT_BITS, Multiplier};
use teff::format::DataType;
use teff::kernels::recurrence::STATE_BITS;
use teff::ops::{GRU, LSTM, RNN, lstm};

use super::{HostOp, shape::arity};
use crate::program::TensorId;
use crate::quantize::lower::{Lower, Lowering};

/// What a step of a recurrence computes; σ is the logistic function, ⊙ the product of elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// Gates i, o, f, g: `c' = σ(f)⊙c + σ(i)⊙tanh(g)`, `h' = σ(o)⊙tanh(c')`; four biases.
    Lstm,
    /// Gates z, r, n: `h' = (1 − σ(z))⊙tanh(n) + σ(z)⊙h`; biases of z, of r, of n outside and inside of the reset.
    Gru {
        /// `n = W·x + b + σ(r)⊙(R·h + b')`; if not, `n = W·x + b + R·(σ(r)⊙h)`.
        linear_before_reset: bool,
    },
    /// `h' = tanh(a)`, or the positive part of a; one bias.
    Rnn {
        /// Whether it is the positive part.
        relu: bool,
    },
}

impl Cell {
    /// Number of gates: rows of the weights in multiples of the hidden size.
    pub fn gates(&self) -> usize {
        match self {
            Cell::Lstm => 4,
            Cell::Gru { .. } => 3,
            Cell::Rnn { .. } => 1,
        }
    }

    /// Length of the bias in multiples of the hidden size.
    pub fn biases(&self) -> usize {
        match self {
            Cell::Lstm | Cell::Gru { .. } => 4,
            Cell::Rnn { .. } => 1,
        }
    }
}

/// `h_t = cell(W·x_t + R·h_{t−1} + b)`, gates in the order of ONNX, one after another in the rows of W, R and b.
///
/// * operands: `x` (T, B, I); `w` (G·H, I), `r` (G·H, H), `b` constants; `h` (B, H); of an LSTM `c` (B, H)
/// * results: `y` (T, B, H), all states h; of an LSTM the last c (B, H)
#[derive(Debug, Clone, PartialEq)]
pub struct Recurrent {
    /// The step.
    pub cell: Cell,
    /// Whether time runs from the last element to the first; `y` keeps the order of `x`.
    pub reverse: bool,
}

/// T, B, I and H.
pub(crate) struct Sizes {
    pub(crate) steps: usize,
    pub(crate) batch: usize,
    pub(crate) inputs: usize,
    pub(crate) hidden: usize,
}

impl Recurrent {
    pub(crate) fn sizes(&self, inputs: &[&[usize]]) -> Result<Sizes> {
        let operands = if self.cell == Cell::Lstm { 6 } else { 5 };
        arity("Recurrent", inputs.len(), operands..=operands)?;
        let (&[steps, batch, width], &[rows, hidden]) = (inputs[0], inputs[2]) else {
            bail!("Recurrent: operands of shapes {:?} and {:?}", inputs[0], inputs[2])
        };
        let gates = self.cell.gates() * hidden;
        let fits = rows == gates && inputs[1] == [gates, width] && inputs[3] == [self.cell.biases() * hidden];
        ensure!(fits && steps > 0, "Recurrent: weights of shapes {:?}", &inputs[1..4]);
        ensure!(inputs[4..].iter().all(|s| *s == [batch, hidden]), "Recurrent: states of shapes {:?}", &inputs[4..]);
        Ok(Sizes { steps, batch, inputs: width, hidden })
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

fn matrix(x: &ArrayD<f32>) -> Result<ArrayView2<'_, f32>> {
    Ok(x.view().into_dimensionality::<Ix2>()?)
}

impl HostOp for Recurrent {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        let Sizes { steps, batch, hidden, .. } = self.sizes(inputs)?;
        Ok(vec![steps, batch, hidden])
    }

    fn infer_all(&self, inputs: &[&[usize]]) -> Result<Vec<Vec<usize>>> {
        let state = if self.cell == Cell::Lstm { inputs.last() } else { None };
        Ok([self.infer(inputs)?].into_iter().chain(state.map(|s| s.to_vec())).collect())
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        Ok(self.eval_all(inputs)?.swap_remove(0))
    }

    fn eval_all(&self, inputs: &[&ArrayD<f32>]) -> Result<Vec<ArrayD<f32>>> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|x| x.shape()).collect();
        let Sizes { steps, batch, inputs: width, hidden } = self.sizes(&shapes)?;
        let x = inputs[0].as_standard_layout();
        let x = x.to_shape((steps * batch, width))?;
        let (w, r) = (matrix(inputs[1])?, matrix(inputs[2])?);
        let bias = inputs[3].view().into_shape_with_order(inputs[3].len())?;
        let from_x = x.dot(&w.t()); // (T·B, G·H)
        let mut h = matrix(inputs[4])?.to_owned();
        let mut c = inputs.get(5).map_or(Ok(h.view()), |c| matrix(c))?.to_owned();
        let mut y = ArrayD::zeros(vec![steps, batch, hidden]);
        for t in 0..steps {
            let t = if self.reverse { steps - 1 - t } else { t };
            let a = from_x.slice(s![t * batch..(t + 1) * batch, ..]);
            let gate = |m: &ArrayView2<f32>, g: usize| m.slice(s![.., g * hidden..(g + 1) * hidden]).to_owned();
            let b = |k: usize| bias.slice(s![k * hidden..(k + 1) * hidden]);
            let from_h = h.dot(&r.t());
            let sum = |g: usize, k: usize| -> Array2<f32> { gate(&a, g) + gate(&from_h.view(), g) + b(k) };
            match self.cell {
                Cell::Lstm => {
                    let [i, o, f] = [0, 1, 2].map(|g| sum(g, g).mapv(sigmoid));
                    c = f * &c + i * sum(3, 3).mapv(f32::tanh);
                    h = o * c.mapv(f32::tanh);
                }
                Cell::Gru { linear_before_reset } => {
                    let [z, reset] = [0, 1].map(|g| sum(g, g).mapv(sigmoid));
                    let inner = match linear_before_reset {
                        true => reset * (gate(&from_h.view(), 2) + b(3)),
                        false => (reset * &h).dot(&r.slice(s![2 * hidden.., ..]).t()) + b(3),
                    };
                    let new = (gate(&a, 2) + b(2) + inner).mapv(f32::tanh);
                    h = z.mapv(|z| 1.0 - z) * new + z * h;
                }
                Cell::Rnn { relu } => h = sum(0, 0).mapv(|v| if relu { v.max(0.0) } else { v.tanh() }),
            }
            y.index_axis_mut(Axis(0), t).assign(&h);
        }
        let state = (self.cell == Cell::Lstm).then(|| c.into_dyn());
        Ok([y].into_iter().chain(state).collect())
    }

    fn macs(&self, inputs: &[&[usize]], _output: &[usize]) -> u64 {
        let Ok(Sizes { steps, batch, inputs: width, hidden }) = self.sizes(inputs) else { return 0 };
        (steps * batch * self.cell.gates() * hidden * (width + hidden)) as u64
    }
}

/// `2^bits`
fn unit(bits: u32) -> f64 {
    f64::from(bits).exp2()
}

/// int8 weights of operand `slot`, each row by its own scale, and the factors that bring sums of products with values of
/// `x_scale` to the gates' fixed point: the weights' tensor, the multipliers', the shifts'.
fn rows(cx: &mut Lowering<'_>, slot: usize, role: &str, x_scale: f32) -> Result<[TensorId; 3]> {
    let data = cx.data(slot)?;
    let (shape, rows) = (data.shape(), data.shape()[0]);
    let (mut weights, mut factors) = (Vec::with_capacity(data.len()), Vec::with_capacity(rows));
    for row in data.outer_iter() {
        let largest = row.iter().fold(0_f32, |m, v| m.max(v.abs()));
        let scale = if largest > 0.0 { f64::from(largest) / 127.0 } else { 1.0 };
        weights.extend(row.iter().map(|&v| (f64::from(v) / scale).round().clamp(-127.0, 127.0) as i8));
        factors.push(cx.multiplier(f64::from(x_scale) * scale * unit(GATE_INPUT_BITS))?);
    }
    let (mult, shift): (Vec<i32>, Vec<u8>) = factors.iter().map(|m| (m.mult, m.shift)).unzip();
    Ok([
        cx.constant(role, DataType::I8, shape, &weights),
        cx.constant(&format!("{role}_mult"), DataType::I32, &[rows], &mult),
        cx.constant(&format!("{role}_shift"), DataType::U8, &[rows], &shift),
    ])
}

impl Lower for Recurrent {
    fn covers(&self) -> Option<usize> {
        Some(4)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (x_scale, y_scale) = (cx.quant(0)?.scale, cx.out_quant()?.scale);
        let [w, w_mult, w_shift] = rows(cx, 1, "weights", x_scale)?;
        let [r, r_mult, r_shift] = rows(cx, 2, "recurrence", y_scale)?;
        let limit = f64::from(i32::MAX);
        let bias = cx.data(3)?.iter().map(|&b| (f64::from(b) * unit(GATE_INPUT_BITS)).round().clamp(-limit, limit) as i32);
        let bias: Vec<i32> = bias.collect();
        let bias = cx.constant("bias", DataType::I32, &[bias.len()], &bias);
        let mut operands = vec![cx.x(0)?, w, r, bias, w_mult, w_shift, r_mult, r_shift, cx.x(4)?];
        let (h_scale, y_scale) = (f64::from(cx.quant(4)?.scale), f64::from(y_scale));
        let (op, variant, h_in, state_bits) = match self.cell {
            Cell::Lstm => (&LSTM, 0, h_scale / y_scale, GATE_BITS),
            Cell::Gru { linear_before_reset } => (&GRU, linear_before_reset.into(), h_scale * unit(STATE_BITS), STATE_BITS),
            Cell::Rnn { relu } => (&RNN, relu.into(), h_scale / y_scale, if relu { GATE_INPUT_BITS } else { GATE_BITS }),
        };
        let none = Multiplier { mult: 0, shift: 1 };
        let mut factors = [cx.multiplier(h_in)?, cx.multiplier(1.0 / (unit(state_bits) * y_scale))?, none, none];
        if self.cell == Cell::Lstm {
            operands.push(cx.x(5)?);
            factors[2] = cx.multiplier(f64::from(cx.quant(5)?.scale) * unit(GATE_INPUT_BITS))?;
            factors[3] = cx.multiplier(1.0 / (unit(GATE_INPUT_BITS) * f64::from(cx.out_quant_of(1)?.scale)))?;
        }
        let params = lstm::Params {
            mult: factors.map(|m| m.mult),
            shift: factors.map(|m| m.shift),
            reverse: self.reverse.into(),
            variant,
            reserved: [0; 2],
        };
        cx.step(op, &operands, &params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    /// One unit, two steps: the definition by hand.
    #[test]
    fn an_lstm_follows_its_definition() {
        let op = Recurrent { cell: Cell::Lstm, reverse: true };
        let (w, r) = (array![[0.1], [0.2], [0.3], [0.4]].into_dyn(), array![[0.5], [0.6], [0.7], [0.8]].into_dyn());
        let (bias, h, c) = (array![0.0, 0.1, 0.2, 0.3].into_dyn(), array![[0.5]].into_dyn(), array![[2.0]].into_dyn());
        let x = array![[[1.0]], [[-1.0]]].into_dyn();
        let found = op.eval_all(&[&x, &w, &r, &bias, &h, &c]).unwrap();
        let (mut h, mut c) = (0.5_f32, 2.0_f32);
        for (at, x) in [(1, -1.0), (0, 1.0)] {
            let a = |g: usize| w[[g, 0]] * x + r[[g, 0]] * h + bias[[g]];
            let (i, o, f) = (sigmoid(a(0)), sigmoid(a(1)), sigmoid(a(2)));
            c = f * c + i * a(3).tanh();
            h = o * c.tanh();
            assert!((found[0][[at, 0, 0]] - h).abs() < 1e-6);
        }
        assert!((found[1][[0, 0]] - c).abs() < 1e-6);
        assert!(op.infer(&[&[2, 1, 1], &[4, 1], &[4, 1], &[4], &[1, 1]]).is_err());
    }
}
