//! A model of a window as a model of a stream.
//!
//! A network over a window of the newest columns of a signal, such as the frames of a spectrum, which moves on by a few columns
//! from run to run, computes nearly everything again that it has computed before. `unroll` keeps the columns that each layer
//! will need again as state, so that a run takes the new columns only. It works on the quantized graph: scales, weights and
//! rounding are the window's, and as soon as a window has passed, the outputs are the window's bit for bit. Until then the
//! columns before the first are zeros, to each layer.
//!
//! What computes each of its columns from a few others, alike wherever they lie, is streamed: convolutions and pools that do not
//! pad along time, whatever is elementwise or works along another axis. The operands of any other node are kept for the whole
//! window, and what follows it is computed as a whole in each run: of a mean over time that is little, of a convolution that pads
//! along time much. After Rybakov et al., "Streaming keyword spotting on mobile devices", Interspeech 2020, where networks are
//! built of layers that can stream; here the graph of any network is followed as far as its operators allow.

mod reach;

use std::borrow::Cow;
use std::collections::HashMap;

use anyhow::{Context, Result, anyhow, ensure};
use ndarray::{ArrayD, ArrayViewD, Axis, concatenate};
use serde::Serialize;
use teff::Model;

use crate::ir::{Graph, Node, Port, State, ValueId};
use crate::ops::concat::Concat;
use crate::ops::slice::Slice;
use crate::ops::{Op, reshape::Reshape};
use crate::quantize::QuantParams;
use reach::{Analysis, Part};

/// What a run of the stream takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// The ONNX name of the input that is a window.
    pub input: String,
    /// The shape of its newest columns, in the ONNX layout: the window's with one axis shorter, that along which it moves.
    pub shape: Vec<usize>,
}

/// What became of the window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Streamed {
    /// The ONNX name of the input.
    pub input: String,
    /// The shape of the window, in the ONNX layout.
    pub window: Vec<usize>,
    /// Columns of the window.
    pub columns: usize,
    /// Columns that are new in a run.
    pub new: usize,
    /// The run from which on the outputs are those of a window, counted from 1.
    pub runs: usize,
    /// The nodes from which on the whole window is computed in each run.
    pub whole: Vec<Whole>,
}

impl Streamed {
    /// The input and its window's shape, as the file's metadata have them and [`window`] reads them.
    pub(crate) fn describe(&self) -> String {
        let dims: Vec<String> = self.window.iter().map(ToString::to_string).collect();
        format!("{}={}", self.input, dims.join(","))
    }
}

/// A node that cannot be streamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Whole {
    /// Its name.
    pub node: String,
    /// Why.
    pub why: String,
}

/// How a value depends on the window: its columns lie along an axis, and the newest are computed anew in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Time {
    axis: usize,
    /// Columns that the window's model has.
    columns: usize,
    /// Columns that a run of the stream's computes, fewer.
    new: usize,
}

impl Time {
    /// The part that a node reads: all of it, if the node is not streamed.
    fn part(self, streamed: Option<Part>) -> Part {
        streamed.unwrap_or(Part { start: 0, len: self.columns })
    }
}

impl Stream {
    /// Checks that a graph has such a window.
    ///
    /// # Errors
    /// If it has no such input, or state of its own.
    pub(crate) fn check(&self, graph: &Graph) -> Result<()> {
        self.find(graph).map(|_| ())
    }

    /// The place of the input among the graph's, and the axis of the device along which it moves.
    fn find(&self, graph: &Graph) -> Result<(usize, Time)> {
        ensure!(graph.states.is_empty(), "the model keeps state itself: what it gives depends on more than a window");
        let place = graph.inputs.iter().position(|port| port.name == self.input);
        let place = place.with_context(|| {
            let names: Vec<&str> = graph.inputs.iter().map(|port| port.name.as_str()).collect();
            format!("the model has no input {}: its inputs are {}", self.input, names.join(", "))
        })?;
        let port = &graph.inputs[place];
        let (window, new) = (&port.onnx_shape, &self.shape);
        let shorter: Vec<usize> = (0..window.len()).filter(|&axis| new.get(axis) != window.get(axis)).collect();
        let time = match shorter.as_slice() {
            &[axis] if new.len() == window.len() && (1..window[axis]).contains(&new[axis]) => {
                let on_device =
                    port.perm.as_ref().map_or(Some(axis), |perm| perm.iter().position(|&from| from == axis));
                let same = on_device.filter(|&at| graph.value(port.value).shape.get(at) == Some(&window[axis]));
                same.map(|at| Time { axis: at, columns: window[axis], new: new[axis] })
            }
            _ => None,
        };
        let time = time.ok_or_else(|| {
            anyhow!(
                "input {} has the shape {window:?}, and a run of the stream is to take {new:?}: wanted the same with one axis \
                 shorter, that along which the window moves",
                self.input
            )
        })?;
        Ok((place, time))
    }
}

/// The name of the input that is a stream, and the shape of its window in the ONNX layout, if a file's metadata name one.
///
/// # Errors
/// If they do, but not as [`Streamed::describe`] writes them.
pub(crate) fn window(model: &Model<'_>) -> Result<Option<(String, Vec<usize>)>> {
    let named = model.metadata_value("stream").map(named_shape).transpose();
    named.context("the file's metadata `stream` cannot be read")
}

/// The inputs of one run after another that give a stream a window; if the columns of a run do not divide it, zeros stand before
/// it. Of any other model the inputs are one run.
///
/// # Errors
/// As [`window`].
pub(crate) fn runs<'i>(model: &Model<'_>, inputs: &'i [ArrayD<f32>]) -> Result<Vec<Cow<'i, [ArrayD<f32>]>>> {
    let entry = model.entry(0).context("no entry point")?;
    let Some((name, _)) = window(model)? else { return Ok(vec![Cow::Borrowed(inputs)]) };
    let ports: Vec<_> = entry.inputs().collect();
    let place =
        ports.iter().position(|port| port.name() == name).with_context(|| format!("stream {name}: no such input"))?;
    let tensor = ports[place].tensor().context("no tensor")?;
    let given = inputs.get(place).with_context(|| format!("input {name} is missing"))?;
    let longer = tensor.shape.iter().zip(given.shape()).position(|(&new, &given)| given > new as usize);
    let Some(axis) = longer else { return Ok(vec![Cow::Borrowed(inputs)]) };
    let new = tensor.shape[axis] as usize;
    let mut filling = given.raw_dim();
    filling[axis] = given.shape()[axis].next_multiple_of(new) - given.shape()[axis];
    let given = concatenate(Axis(axis), &[ArrayD::zeros(filling).view(), given.view()])?;
    let run = |columns: ArrayViewD<'_, f32>| {
        let input = |(i, input): (usize, &ArrayD<f32>)| if i == place { columns.to_owned() } else { input.clone() };
        Cow::Owned(inputs.iter().enumerate().map(input).collect())
    };
    Ok(given.axis_chunks_iter(Axis(axis), new).map(run).collect())
}

/// `name=1,3,48,192`: an input and a shape.
///
/// # Errors
/// If it is none; the message gives an example.
pub(crate) fn named_shape(text: &str) -> Result<(String, Vec<usize>)> {
    let (name, shape) = text.rsplit_once('=').context("wanted NAME=SHAPE, such as image=1,3,48,192")?;
    let shape: Vec<usize> = shape.split(',').map(str::parse).collect::<Result<_, _>>()?;
    ensure!(shape.iter().all(|&d| d > 0), "dimensions must be above 0");
    Ok((name.to_string(), shape))
}

/// Makes the quantized model of a window that of a stream.
///
/// # Errors
/// As [`Stream::check`].
pub(crate) fn unroll(graph: &mut Graph, quant: &mut Vec<Option<QuantParams>>, stream: &Stream) -> Result<Streamed> {
    let (place, time) = stream.find(graph)?;
    let analysis = Analysis::new(graph, graph.inputs[place].value, time);
    let port = &mut graph.inputs[place];
    let window = std::mem::replace(&mut port.onnx_shape, stream.shape.clone());
    let (input, nodes) = (port.value, std::mem::take(&mut graph.nodes));
    let mut rewriting = Rewriting { graph, quant, analysis: &analysis, history: HashMap::new(), parts: HashMap::new() };
    rewriting.computed(input)?;
    nodes.into_iter().zip(&analysis.parts).try_for_each(|(node, &part)| rewriting.push(node, part))?;
    for port in &mut graph.outputs {
        let Some(time) = analysis.times[port.value.0] else { continue };
        let axis = port.perm.as_ref().map_or(time.axis, |perm| perm[time.axis]);
        let dim = port.onnx_shape.get_mut(axis).filter(|dim| **dim == time.columns);
        *dim.with_context(|| format!("output {}: its columns lie along no axis of its own", port.name))? = time.new;
    }
    let (columns, new) = (time.columns, time.new);
    let runs = columns.div_ceil(new);
    Ok(Streamed { input: stream.input.clone(), window, columns, new, runs, whole: analysis.whole })
}

/// The graph of the stream as it grows.
struct Rewriting<'a> {
    graph: &'a mut Graph,
    quant: &'a mut Vec<Option<QuantParams>>,
    analysis: &'a Analysis,
    /// For each value some of whose past is wanted: past and new columns together.
    history: HashMap<ValueId, ValueId>,
    /// Parts of values that are made.
    parts: HashMap<(ValueId, Part), ValueId>,
}

impl Rewriting<'_> {
    /// A node that reads this part of its streamed operands, or all of them.
    fn push(&mut self, mut node: Node, part: Option<Part>) -> Result<()> {
        let output = node.outputs[0];
        let read =
            |rewriting: &Self, input: ValueId| rewriting.analysis.times[input.0].map(|time| (time, time.part(part)));
        match (&mut node.op, read(self, node.inputs[0])) {
            // Of a wider part, it takes its own.
            (Op::Slice(op), Some((time, read))) if op.axis == time.axis && part.is_some() => {
                let (from, start) = self.place(node.inputs[0], time, read);
                *op = Slice { start, end: start + read.len, ..op.clone() };
                node.inputs[0] = from;
            }
            _ => {
                for input in &mut node.inputs {
                    if let Some((time, part)) = read(self, *input) {
                        *input = self.part(*input, time, part)?;
                    }
                }
            }
        }
        if let (Op::Reshape(Reshape { shape }), Some(time)) = (&mut node.op, self.analysis.times[output.0]) {
            shape[time.axis] = time.new;
        }
        self.graph.nodes.push(node);
        self.computed(output)
    }

    /// `value` is there, if it is streamed its new columns only: its past is put before them, and kept.
    fn computed(&mut self, value: ValueId) -> Result<()> {
        let Some(Time { axis, new, .. }) = self.analysis.times[value.0] else { return Ok(()) };
        self.graph.value_mut(value).shape[axis] = new;
        let Some(&past) = self.analysis.past.get(&value).filter(|&&past| past > 0) else { return Ok(()) };
        let (name, kind) = (self.graph.value(value).name.clone(), self.graph.value(value).kind);
        let mut shape = self.graph.value(value).shape.clone();
        shape[axis] = past;
        let before = self.graph.activation_of(kind, format!("{name}/past"), &shape);
        self.quantized_as(before, value);
        let history = self.push_as(value, format!("{name}/history"), Concat { axis }.into(), &[before, value])?;
        let newest = Slice { axis, start: new, end: new + past, step: 1 };
        let after = self.push_as(value, format!("{name}/kept"), newest.into(), &[history])?;
        let port =
            |value, end: &str| Port { value, name: format!("{name}{end}"), onnx_shape: shape.clone(), perm: None };
        self.graph.states.push(State { input: port(before, "/past"), output: port(after, "/kept") });
        self.history.insert(value, history);
        Ok(())
    }

    /// The value that holds a part of `value`, and where the part begins in it.
    fn place(&self, value: ValueId, time: Time, part: Part) -> (ValueId, usize) {
        let newest = time.columns - time.new;
        match self.history.get(&value) {
            Some(&history) if part.start < newest => (history, part.start + self.analysis.past[&value] - newest),
            _ => (value, part.start - newest),
        }
    }

    /// A part of `value`.
    fn part(&mut self, value: ValueId, time: Time, part: Part) -> Result<ValueId> {
        let (from, start) = self.place(value, time, part);
        if part.len == self.graph.value(from).shape[time.axis] {
            return Ok(from);
        }
        if let Some(&known) = self.parts.get(&(value, part)) {
            return Ok(known);
        }
        let end = start + part.len;
        let name = format!("{}/columns {start} to {}", self.graph.value(from).name, end - 1);
        let made = self.push_as(value, name, Slice { axis: time.axis, start, end, step: 1 }.into(), &[from])?;
        self.parts.insert((value, part), made);
        Ok(made)
    }

    /// A new node, whose output is quantized as `value` is.
    fn push_as(&mut self, value: ValueId, name: String, op: Op, inputs: &[ValueId]) -> Result<ValueId> {
        let output = self.graph.push(&name, op, inputs)?;
        self.quantized_as(output, value);
        Ok(output)
    }

    fn quantized_as(&mut self, new: ValueId, value: ValueId) {
        self.graph.value_mut(new).pin = self.graph.value(value).pin;
        self.quant.resize(self.graph.values.len(), None);
        self.quant[new.0] = self.quant[value.0];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_have_names() {
        assert_eq!(named_shape("a=b=1,3").unwrap(), ("a=b".to_string(), vec![1, 3]));
        assert!(["a", "a=", "a=0", "a=1,x"].iter().all(|text| named_shape(text).is_err()));
    }
}
