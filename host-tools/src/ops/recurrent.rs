//! Recurrent layers: LSTM, GRU and plain RNN, one direction.

use anyhow::{Result, bail, ensure};
use ndarray::{Array2, ArrayD, ArrayView2, Axis, Ix2, s};

use super::{HostOp, shape::arity};
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

impl Lower for Recurrent {
    fn lower(&self, _cx: &mut Lowering<'_>) -> Result<()> {
        anyhow::bail!("only the float form exists yet")
    }
}
