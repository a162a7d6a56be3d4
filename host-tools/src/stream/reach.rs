//! Which columns of its operands a node reads.

use std::collections::HashMap;

use super::{Time, Whole};
use crate::ir::{Graph, Node, ValueId};
use crate::ops::Op;
use crate::ops::shape::{Window, windows};

/// Columns that a node reads, counted in the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Part {
    pub(super) start: usize,
    pub(super) len: usize,
}

/// What the nodes of a window's model read in a run of the stream.
pub(super) struct Analysis {
    /// For each value how it depends on the window, if it is streamed.
    pub(super) times: Vec<Option<Time>>,
    /// For each node the part of its streamed operands that it reads, of all of them the same.
    pub(super) parts: Vec<Option<Part>>,
    /// For each value the columns before the new ones that its readers want.
    pub(super) past: HashMap<ValueId, usize>,
    pub(super) whole: Vec<Whole>,
}

impl Analysis {
    /// Follows `input`, which depends on the window as `time` says, through the graph.
    pub(super) fn new(graph: &Graph, input: ValueId, time: Time) -> Self {
        let mut times = vec![None; graph.values.len()];
        times[input.0] = Some(time);
        let (mut parts, mut past, mut whole) = (Vec::new(), HashMap::new(), Vec::new());
        for node in &graph.nodes {
            let read = streamed(graph, node, &times).map(|found| {
                found.map(|(part, produced)| {
                    times[node.outputs[0].0] = produced;
                    part
                })
            });
            let part = read.unwrap_or_else(|why| {
                whole.push(Whole { node: node.name.clone(), why });
                None
            });
            parts.push(part);
            for &input in &node.inputs {
                if let Some(time) = times[input.0] {
                    let wanted = (time.columns - time.new).saturating_sub(time.part(part).start);
                    let past = past.entry(input).or_insert(0);
                    *past = wanted.max(*past);
                }
            }
        }
        Self { times, parts, past, whole }
    }
}

/// The columns that `node` reads of its streamed operands to compute the newest of its output, and how this depends on the
/// window: not at all if all its columns are computed. `None` if no operand is streamed.
///
/// # Errors
/// If the node has to be computed as a whole; the message says why.
fn streamed(graph: &Graph, node: &Node, times: &[Option<Time>]) -> Result<Option<(Part, Option<Time>)>, String> {
    let mut operands = node.inputs.iter().filter_map(|input| times[input.0]);
    let Some(time) = operands.next() else { return Ok(None) };
    if operands.any(|other| (other.columns, other.new) != (time.columns, time.new)) {
        return Err("its operands have different columns".to_string());
    }
    let Reach { first, extent, stride, axis } = reach(graph, node, times)?;
    if time.new % stride != 0 {
        return Err(format!("its stride of {stride} does not divide the {} new columns of a run", time.new));
    }
    let columns = graph.value(node.outputs[0]).shape[axis];
    let new = columns.min(time.new / stride);
    let part = Part { start: first + (columns - new) * stride, len: extent + (new - 1) * stride };
    Ok(Some((part, (new < columns).then_some(Time { axis, columns, new }))))
}

/// How the columns of an output come of those of the operands: column `j` of columns `first + j·stride` and on, `extent` of
/// them.
struct Reach {
    first: usize,
    extent: usize,
    stride: usize,
    /// The axis of the output along which its columns lie.
    axis: usize,
}

impl Reach {
    /// Each column comes of that at the same place.
    fn same(axis: usize) -> Self {
        Self { first: 0, extent: 1, stride: 1, axis }
    }

    /// Each column comes of a window that slides along time.
    fn sliding(windows: [Window; 2], axis: usize) -> Result<Self, String> {
        match axis.checked_sub(1).and_then(|i| windows.get(i)) {
            Some(window) if window.before + window.after > 0 => Err("it pads along time".to_string()),
            Some(window) => Ok(Self { first: 0, extent: window.extent(), stride: window.stride, axis }),
            None => Err("time is an axis of channels".to_string()),
        }
    }
}

/// # Errors
/// If the columns of the output do not each come of a few of the operands', alike wherever they lie.
fn reach(graph: &Graph, node: &Node, times: &[Option<Time>]) -> Result<Reach, String> {
    let is_streamed = |slot: usize| times[node.inputs[slot].0].is_some();
    let shape = |slot: usize| graph.value(node.inputs[slot]).shape.as_slice();
    match &node.op {
        Op::Concat(op) => return concatenation(op.axis, node, times),
        op if is_elementwise(op) => return elementwise(graph, node, times),
        _ => {}
    }
    let axis = match times[node.inputs[0].0] {
        Some(time) if !(1..node.inputs.len()).any(is_streamed) => time.axis,
        _ => return Err("an operand beside the first changes in time".to_string()),
    };
    let last = shape(0).len() - 1;
    let over = |axes: &[usize]| match axes.contains(&axis) {
        true => Err("it takes all columns at once".to_string()),
        false => Ok(Reach::same(axis)),
    };
    match &node.op {
        Op::Conv2d(op) => Reach::sliding(windows(op.kernel, op.stride, op.dilation, op.pad), axis),
        Op::MaxPool2d(op) => Reach::sliding(windows(op.kernel, op.stride, [1, 1], op.pad), axis),
        Op::AvgPool2d(op) => Reach::sliding(windows(op.kernel, op.stride, [1, 1], op.pad), axis),
        Op::Slice(op) if op.axis == axis => Ok(Reach { first: op.start, extent: 1, stride: op.step, axis }),
        Op::Slice(_) => Ok(Reach::same(axis)),
        Op::Pad(op) if op.pads[axis] == (0, 0) => Ok(Reach::same(axis)),
        Op::Pad(_) => Err("it pads along time".to_string()),
        Op::Transpose(op) => {
            let to = op.perm.iter().position(|&from| from == axis);
            to.map(Reach::same).ok_or_else(|| "it drops the axis of time".to_string())
        }
        Op::Reshape(op) => {
            // The axis as long as this one that has as many elements before it.
            let before = |shape: &[usize], axis: usize| shape[..axis].iter().product::<usize>();
            let is_same =
                |&to: &usize| op.shape[to] == shape(0)[axis] && before(&op.shape, to) == before(shape(0), axis);
            let to = (0..op.shape.len()).find(is_same);
            to.map(Reach::same).ok_or_else(|| "it takes all columns at once".to_string())
        }
        Op::FullyConnected(_) | Op::Softmax(_) | Op::LogSumExp(_) => over(&[last]),
        Op::ReduceMean(op) => over(&op.axes),
        Op::ReduceSum(op) => over(&op.axes),
        Op::ReduceExtreme(op) => over(&op.axes),
        Op::ReduceSquare(op) => over(&op.axes),
        // Scale and bias have the last axes.
        Op::Normalize(op) if (1..node.inputs.len()).all(|slot| shape(slot).len() < shape(0).len() - axis) => {
            over(&op.axes)
        }
        op => Err(format!("{} is not streamed", op.name())),
    }
}

/// Whether each element of the output comes of those at its own place.
fn is_elementwise(op: &Op) -> bool {
    op.broadcasts() || matches!(op, Op::PRelu(_) | Op::Clamp(_) | Op::Table(_) | Op::Requantize(_) | Op::FromIndex(_))
}

/// Operands that do not change in time must be the same for all columns.
fn elementwise(graph: &Graph, node: &Node, times: &[Option<Time>]) -> Result<Reach, String> {
    // Axes are counted from the last.
    let from_last = |input: &ValueId| times[input.0].map(|time| graph.value(*input).shape.len() - time.axis);
    let Some(place) = node.inputs.iter().find_map(from_last) else { return Err("no operand is streamed".to_string()) };
    for input in &node.inputs {
        let shape = &graph.value(*input).shape;
        match from_last(input) {
            Some(other) if other != place => return Err("its operands change along different axes".to_string()),
            None if shape.len() >= place && shape[shape.len() - place] != 1 => {
                return Err("an operand that is not streamed has columns".to_string());
            }
            _ => {}
        }
    }
    Ok(Reach::same(graph.value(node.outputs[0]).shape.len() - place))
}

/// All operands must be streamed, along another axis than that of the concatenation.
fn concatenation(axis: usize, node: &Node, times: &[Option<Time>]) -> Result<Reach, String> {
    let along: Option<Vec<usize>> = node.inputs.iter().map(|input| times[input.0].map(|time| time.axis)).collect();
    match along.as_deref() {
        None => Err("an operand is not streamed".to_string()),
        Some([first, rest @ ..]) if *first != axis && rest.iter().all(|other| other == first) => {
            Ok(Reach::same(*first))
        }
        Some(_) => Err("it joins along time".to_string()),
    }
}
