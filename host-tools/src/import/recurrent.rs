//! LSTM, GRU and plain RNN: one recurrence a direction.

use anyhow::{Context, Result, bail, ensure};
use ndarray::{ArrayD, Axis, IxDyn, s};
use tract_onnx::prelude::Tensor;

use super::opaque::{Call, Opaque, Operand, shape};
use super::typed::{Importer, floats};
use crate::ir::ValueId;
use crate::ops::{
    concat::Concat,
    pad::Pad,
    recurrent::{Cell, Recurrent},
    slice::Slice,
};

/// Sizes of a node.
struct Sizes {
    steps: usize,
    batch: usize,
    hidden: usize,
    directions: usize,
    batch_first: bool,
}

impl Sizes {
    fn new(op: &Opaque, operands: &[Option<Operand>]) -> Result<Self> {
        let batch_first = op.int("layout", 0)? == 1;
        let (x, r) = (shape(operands, 0)?, shape(operands, 2)?);
        let (&[first, second, _], &[directions, _, hidden]) = (x, r) else { bail!("operands of other ranks than 3") };
        let (steps, batch) = if batch_first { (second, first) } else { (first, second) };
        Ok(Self { steps, batch, hidden, directions, batch_first })
    }

    /// The shape of the last states.
    fn last(&self) -> Vec<usize> {
        let &Self { batch, hidden, directions, .. } = self;
        if self.batch_first { vec![batch, directions, hidden] } else { vec![directions, batch, hidden] }
    }
}

pub(super) fn shapes(op: &Opaque, operands: &[Option<Operand>]) -> Result<Vec<Vec<usize>>> {
    let sizes = Sizes::new(op, operands)?;
    let &Sizes { steps, batch, hidden, directions, batch_first } = &sizes;
    let all = if batch_first { vec![batch, steps, directions, hidden] } else { vec![steps, directions, batch, hidden] };
    Ok(vec![all, sizes.last(), sizes.last()])
}

pub(super) fn lstm(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<ValueId>> {
    activations(call.op, &["sigmoid", "tanh", "tanh"])?;
    ensure!(call.op.int("input_forget", 0)? == 0, "coupled input and forget gates (input_forget) are not supported");
    if call.has(7) {
        let peepholes = floats(call.constant(7)?)?;
        ensure!(peepholes.iter().all(|&p| p == 0.0), "peepholes (operand P) are not supported: train without them");
    }
    import(importer, call, &|_| Ok(Cell::Lstm))
}

pub(super) fn gru(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<ValueId>> {
    activations(call.op, &["sigmoid", "tanh"])?;
    let linear_before_reset = call.op.int("linear_before_reset", 0)? != 0;
    import(importer, call, &|_| Ok(Cell::Gru { linear_before_reset }))
}

pub(super) fn rnn(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<ValueId>> {
    let names = call.op.strings("activations")?.unwrap_or_default();
    import(importer, call, &|direction| match names.get(direction).map(|n| n.to_lowercase()).as_deref() {
        None | Some("tanh") => Ok(Cell::Rnn { relu: false }),
        Some("relu") => Ok(Cell::Rnn { relu: true }),
        Some(other) => bail!("the activation {other} of a recurrence is not supported: only Tanh and Relu"),
    })
}

/// That the activations are these in every direction.
fn activations(op: &Opaque, defaults: &[&str]) -> Result<()> {
    let found = op.strings("activations")?.unwrap_or_default();
    let as_usual = found.chunks(defaults.len()).all(|names| {
        names.len() == defaults.len()
            && names.iter().zip(defaults).all(|(name, default)| name.to_lowercase() == *default)
    });
    ensure!(as_usual, "the activations {} are not supported: only {}", found.join(", "), defaults.join(", "));
    Ok(())
}

fn import(importer: &mut Importer<'_>, call: &Call<'_>, cell: &dyn Fn(usize) -> Result<Cell>) -> Result<Vec<ValueId>> {
    let (op, name) = (call.op, call.name());
    let sizes = Sizes::new(op, &call.operands(importer)?)?;
    let &Sizes { steps, batch, hidden, directions, batch_first } = &sizes;
    ensure!(op.float("clip", 0.0)? == 0.0, "cells that clip are not supported");
    let direction = op.string("direction", "forward")?;
    let reversed = match (direction.as_str(), directions) {
        ("forward", 1) => vec![false],
        ("reverse", 1) => vec![true],
        ("bidirectional", 2) => vec![false, true],
        _ => bail!("{directions} sets of weights for direction {direction}"),
    };
    let whole = steps;
    let steps = if call.has(4) { common_len(call.constant(4)?, steps)? } else { steps };
    let (w, r) = (floats(call.constant(1)?)?, floats(call.constant(2)?)?);
    let bias = call.has(3).then(|| floats(call.constant(3)?)).transpose()?;
    let mut x = call.value(importer, 0)?;
    if batch_first {
        x = importer.transpose(&format!("{name}.steps_first"), x, &[1, 0, 2])?;
    }
    if steps < whole {
        x = importer.push(&format!("{name}.begun"), Slice { axis: 0, start: 0, end: steps, step: 1 }, &[x])?;
    }
    let (mut all, mut last, mut cells) = (Vec::new(), Vec::new(), Vec::new());
    for (d, reverse) in reversed.into_iter().enumerate() {
        let cell = cell(d)?;
        let name = if directions == 1 { name.to_string() } else { format!("{name}.direction{d}") };
        let of = |weights: &ArrayD<f32>| weights.index_axis(Axis(0), d).to_owned();
        let rows = cell.gates() * hidden;
        let folded = match &bias {
            Some(bias) => cell.fold_bias(&of(bias).into_dimensionality()?, hidden),
            None => ndarray::Array1::zeros(cell.biases() * hidden),
        };
        ensure!(
            of(&w).shape()[0] == rows && of(&r).shape() == [rows, hidden],
            "weights of other shapes than {rows} rows"
        );
        let mut operands = vec![x];
        for (role, data) in [("weight", of(&w)), ("recurrence", of(&r)), ("bias", folded.into_dyn())] {
            operands.push(importer.graph.constant(format!("{name}.{role}"), data));
        }
        for slot in if cell == Cell::Lstm { 5..=6 } else { 5..=5 } {
            operands.push(importer.initial(call, slot, d, &sizes)?);
        }
        let outputs = importer.graph.push_all(&name, Recurrent { cell, reverse }.into(), &operands)?;
        let (&y, state) = outputs.split_first().context("a recurrence without output")?;
        all.push(importer.reshape(&format!("{name}.direction"), y, &[steps, 1, batch, hidden])?);
        let end = if reverse { 0 } else { steps - 1 };
        let y_h = importer.part(&format!("{name}.last"), y, end)?;
        last.push(y_h);
        for &c in state {
            cells.push(importer.reshape(&format!("{name}.cell"), c, &[1, batch, hidden])?);
        }
    }
    if steps < whole {
        // Behind the end of a sequence there are zeros.
        let pads = vec![(0, whole - steps), (0, 0), (0, 0), (0, 0)];
        for y in &mut all {
            *y = importer.push(&format!("{name}.ended"), Pad { pads: pads.clone(), value: 0.0 }, &[*y])?;
        }
    }
    let mut join = |role: &str, parts: &[ValueId], axis: usize, perm: &[usize]| -> Result<ValueId> {
        let name = format!("{name}.{role}");
        let y = match parts {
            [only] => *only,
            _ => importer.push(&name, Concat { axis }, parts)?,
        };
        if batch_first { importer.transpose(&format!("{name}.batch_first"), y, perm) } else { Ok(y) }
    };
    let mut outputs = vec![join("y", &all, 1, &[2, 0, 1, 3])?, join("y_h", &last, 0, &[1, 0, 2])?];
    if !cells.is_empty() {
        outputs.push(join("y_c", &cells, 0, &[1, 0, 2])?);
    }
    Ok(outputs)
}

/// The one length that all sequences have, of operand `sequence_lens`.
fn common_len(lens: &Tensor, steps: usize) -> Result<usize> {
    let lens = lens.cast_to::<i64>()?;
    let lens = lens.try_as_plain_ram()?.as_slice::<i64>()?;
    let &first = lens.first().context("no sequence (operand sequence_lens)")?;
    ensure!(
        lens.iter().all(|&len| len == first),
        "sequences of different lengths (operand sequence_lens) are not supported"
    );
    let fits = usize::try_from(first).ok().filter(|len| (1..=steps).contains(len));
    fits.with_context(|| format!("sequences of {first} steps in a tensor of {steps}"))
}

impl Importer<'_> {
    /// `x[at..at + 1]` along the first axis.
    fn part(&mut self, name: &str, x: ValueId, at: usize) -> Result<ValueId> {
        if self.dims(x)[0] == 1 {
            return Ok(x);
        }
        if let Some(data) = self.graph.data(x) {
            let part = data.slice_axis(Axis(0), (at..at + 1).into()).to_owned();
            return Ok(self.graph.constant(name, part));
        }
        self.push(name, Slice { axis: 0, start: at, end: at + 1, step: 1 }, &[x])
    }

    /// The state `(batch, hidden)` in which direction `d` begins: operand `slot`, or zero.
    fn initial(&mut self, call: &Call<'_>, slot: usize, d: usize, sizes: &Sizes) -> Result<ValueId> {
        let (name, shape) = (format!("{}.initial{slot}", call.name()), [sizes.batch, sizes.hidden]);
        if !call.has(slot) {
            return Ok(self.graph.constant(name, ArrayD::zeros(IxDyn(&shape))));
        }
        let mut h = call.value(self, slot)?;
        if sizes.batch_first {
            h = self.transpose(&format!("{name}.directions_first"), h, &[1, 0, 2])?;
        }
        let h = self.part(&format!("{name}.direction{d}"), h, d)?;
        if let Some(data) = self.graph.data(h) {
            let data = data.as_ref().clone().into_shape_with_order(IxDyn(&shape))?;
            return Ok(self.graph.constant(name, data));
        }
        self.reshape(&name, h, &shape)
    }
}

impl Cell {
    /// ONNX's biases of one direction, those of the input and then those of the recurrence, `2·gates·hidden`, as
    /// [`Recurrent`] wants them.
    fn fold_bias(&self, onnx: &ndarray::Array1<f32>, hidden: usize) -> ndarray::Array1<f32> {
        let (w, r) = (onnx.slice(s![..self.gates() * hidden]), onnx.slice(s![self.gates() * hidden..]));
        let sum = &w + &r;
        match self {
            Cell::Lstm | Cell::Rnn { .. } => sum,
            Cell::Gru { linear_before_reset } => {
                let gates = 2 * hidden;
                let (new, inner) = match linear_before_reset {
                    true => (w.slice(s![gates..]).to_owned(), r.slice(s![gates..]).to_owned()),
                    false => (sum.slice(s![gates..]).to_owned(), ndarray::Array1::zeros(hidden)),
                };
                ndarray::concatenate![Axis(0), sum.slice(s![..gates]), new, inner]
            }
        }
    }
}
