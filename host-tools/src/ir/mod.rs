//! The intermediate representation: a float graph in the vocabulary of the runtime.
//!
//! Activations are `f32` tensors of any rank, of real numbers, integers or truth values ([`Kind`]); images are NHWC. The graph is in execution order (a node comes after
//! all producers of its inputs), every value has a fixed shape, and a value is produced by one node, is a graph
//! input, or is a constant.

pub mod eval;
mod integers;
pub mod scalar;

use std::sync::Arc;

use anyhow::{Context, ensure};
use ndarray::ArrayD;
use teff::fixed::Rounding;

pub use self::integers::Integers;
pub(crate) use self::integers::{gather, places};
use crate::ops::Op;
use crate::quantize::QuantParams;

/// Index of a [`Value`] in [`Graph::values`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub usize);

/// What the elements of a tensor are. The float interpreter holds all of them as `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Real numbers: quantized on the device.
    Real,
    /// Integers that stand for themselves, such as token ids, indices and counts: i32 on the device, never quantized. At
    /// most [`Kind::LARGEST_INDEX`] in absolute value, so that `f32` holds them exactly.
    Index,
    /// Truth values, 0 or 1: i8 of scale 1 and zero point 0 on the device.
    Truth,
}

impl Kind {
    /// Largest absolute integer up to which `f32` holds all integers.
    pub const LARGEST_INDEX: f32 = (1 << 24) as f32;
}

/// A tensor: a graph input, a constant, or the output of one node.
#[derive(Debug, Clone)]
pub struct Value {
    /// The ONNX tensor name, or one derived from it.
    pub name: String,
    /// Fixed shape; images are NHWC.
    pub shape: Vec<usize>,
    /// What the elements are.
    pub kind: Kind,
    /// The elements, if the value is a constant.
    pub constant: Option<Arc<ArrayD<f32>>>,
    /// The integers behind the elements, if the constant is one of a quantized model.
    pub integers: Option<Arc<Integers>>,
    /// The quantization that the model itself prescribes for an activation: the device's tensor has it, and no
    /// calibration is needed for it.
    pub pin: Option<QuantParams>,
}

impl Value {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the tensor has no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One operation.
#[derive(Debug, Clone)]
pub struct Node {
    /// The ONNX node name (or its first output's), for messages and reports.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Operands in the order that the operator documents.
    pub inputs: Vec<ValueId>,
    /// Results.
    pub outputs: Vec<ValueId>,
}

/// How a graph input or output is laid out, compared with the ONNX model's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The value inside the graph.
    pub value: ValueId,
    /// The ONNX name.
    pub name: String,
    /// The shape in the ONNX model.
    pub onnx_shape: Vec<usize>,
    /// `Some(perm)` if the device's layout is the transposed ONNX layout: device axis `i` is ONNX axis `perm[i]`
    /// (an image that ONNX holds as NCHW has `[0, 2, 3, 1]`).
    pub perm: Option<Vec<usize>>,
}

/// A model.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// All tensors.
    pub values: Vec<Value>,
    /// All operations, in execution order.
    pub nodes: Vec<Node>,
    /// Graph inputs.
    pub inputs: Vec<Port>,
    /// Graph outputs.
    pub outputs: Vec<Port>,
    /// Tensors that the model keeps from run to run; no inputs and outputs.
    pub states: Vec<State>,
    /// How products are rounded where the model itself prescribes the scale of the result ([`Value::pin`]): as on the
    /// runtime that it was quantized for.
    pub rounding: Rounding,
}

/// A tensor that the model keeps: what `output` was in one run `input` is in the next, and 0 in the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// What a run finds; as the ONNX model's input, never transposed.
    pub input: Port,
    /// What it leaves; as the ONNX model's output, never transposed.
    pub output: Port,
}

impl Graph {
    /// Adds an activation of real numbers.
    pub fn activation(&mut self, name: impl Into<String>, shape: &[usize]) -> ValueId {
        self.activation_of(Kind::Real, name, shape)
    }

    /// Adds an activation.
    pub fn activation_of(&mut self, kind: Kind, name: impl Into<String>, shape: &[usize]) -> ValueId {
        self.add(Value { name: name.into(), shape: shape.to_vec(), kind, constant: None, integers: None, pin: None })
    }

    fn add(&mut self, value: Value) -> ValueId {
        self.values.push(value);
        ValueId(self.values.len() - 1)
    }

    /// Adds a constant of real numbers.
    pub fn constant(&mut self, name: impl Into<String>, data: ArrayD<f32>) -> ValueId {
        self.constant_of(Kind::Real, name, data)
    }

    /// Adds a constant.
    pub fn constant_of(&mut self, kind: Kind, name: impl Into<String>, data: ArrayD<f32>) -> ValueId {
        let shape = data.shape().to_vec();
        let data = if data.is_standard_layout() { data } else { data.as_standard_layout().into_owned() };
        self.add(Value { name: name.into(), shape, kind, constant: Some(Arc::new(data)), integers: None, pin: None })
    }

    /// Adds a constant of real numbers of a quantized model.
    pub fn integers(&mut self, name: impl Into<String>, integers: Integers) -> ValueId {
        let id = self.constant(name, integers.reals());
        let integers = integers.at(&places(integers.q.shape()));
        self.value_mut(id).integers = Some(Arc::new(integers));
        id
    }

    /// Adds a constant with the elements of the constant `id`, and the integers behind them, at other places:
    /// `rearrange` gets the places 0, 1, … in row-major order under the old shape and returns the new constant's.
    ///
    /// # Errors
    /// Those of `rearrange`; if `id` is no constant.
    pub fn rearranged(
        &mut self,
        id: ValueId,
        rearrange: impl FnOnce(ArrayD<usize>) -> anyhow::Result<ArrayD<usize>>,
    ) -> anyhow::Result<ValueId> {
        let mut value = self.value(id).clone();
        let data = value.constant.as_ref().with_context(|| format!("{} is no constant", value.name))?;
        let at = rearrange(places(&value.shape))?.as_standard_layout().into_owned();
        value.shape = at.shape().to_vec();
        value.constant = Some(Arc::new(gather(data, &at)));
        value.integers = value.integers.map(|integers| Arc::new(integers.at(&at)));
        Ok(self.add(value))
    }

    /// Appends a node; returns its first output.
    ///
    /// # Errors
    /// If the operator refuses the shapes or kinds of its inputs.
    pub fn push(&mut self, name: &str, op: Op, inputs: &[ValueId]) -> anyhow::Result<ValueId> {
        let outputs = self.push_all(name, op, inputs)?;
        outputs.first().copied().ok_or_else(|| anyhow::anyhow!("{name} has no output"))
    }

    /// Appends a node with outputs of the shapes that the operator infers; returns them.
    ///
    /// # Errors
    /// If the operator refuses the shapes or kinds of its inputs.
    pub fn push_all(&mut self, name: &str, op: Op, inputs: &[ValueId]) -> anyhow::Result<Vec<ValueId>> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|&i| self.value(i).shape.as_slice()).collect();
        let shapes = op.infer_all(&shapes)?;
        let kind = op.kind(&inputs.iter().map(|&i| self.value(i).kind).collect::<Vec<_>>())?;
        let named = |i: usize| if i == 0 { name.to_string() } else { format!("{name}.{i}") };
        let outputs: Vec<ValueId> =
            shapes.iter().enumerate().map(|(i, shape)| self.activation_of(kind, named(i), shape)).collect();
        self.nodes.push(Node { name: name.to_string(), op, inputs: inputs.to_vec(), outputs: outputs.clone() });
        Ok(outputs)
    }

    /// Inserts a node with one output before node `at`; returns that output.
    ///
    /// # Errors
    /// If the operator refuses the shapes of its inputs.
    pub fn insert(&mut self, at: usize, name: &str, op: Op, inputs: &[ValueId]) -> anyhow::Result<ValueId> {
        let output = self.push(name, op, inputs)?;
        if let Some(node) = self.nodes.pop() {
            self.nodes.insert(at, node);
        }
        Ok(output)
    }

    /// Lets node `at` compute `op(inputs)`, and a new node after it make the old output from the new one by `then`.
    ///
    /// # Errors
    /// If an operator refuses its inputs, or the two do not make a value of the old shape.
    pub fn rewrite(&mut self, at: usize, op: Op, inputs: &[ValueId], then: Op) -> anyhow::Result<()> {
        let name = self.nodes[at].name.clone();
        let old = self.nodes[at].outputs[0];
        let inner = self.insert(at, &name, op, inputs)?;
        let node = &mut self.nodes[at + 1];
        node.name = format!("{name}.{}", then.name().to_lowercase());
        (node.op, node.inputs) = (then, vec![inner]);
        let shape = self.nodes[at + 1].op.infer(&[&self.value(inner).shape])?;
        anyhow::ensure!(
            shape == self.value(old).shape,
            "{name}: rewritten from {:?} to {shape:?}",
            self.value(old).shape
        );
        Ok(())
    }

    /// The value `id`.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0]
    }

    /// The value `id`, mutable.
    pub fn value_mut(&mut self, id: ValueId) -> &mut Value {
        &mut self.values[id.0]
    }

    /// The elements of `id`, if it is a constant.
    pub fn data(&self, id: ValueId) -> Option<&Arc<ArrayD<f32>>> {
        self.value(id).constant.as_ref()
    }

    /// Index of the node that produces `id`, if any.
    pub fn producer(&self, id: ValueId) -> Option<usize> {
        self.nodes.iter().position(|n| n.outputs.contains(&id))
    }

    /// Indices of the nodes that read `id`.
    pub fn consumers(&self, id: ValueId) -> Vec<usize> {
        (0..self.nodes.len()).filter(|&i| self.nodes[i].inputs.contains(&id)).collect()
    }

    /// Whether `id` leaves the graph, or outlives the run.
    pub fn is_output(&self, id: ValueId) -> bool {
        self.outputs.iter().any(|p| p.value == id) || self.states.iter().any(|s| s.output.value == id)
    }

    /// Makes an input and an output one tensor that the model keeps from run to run. To be called before
    /// [`crate::passes::run`].
    ///
    /// # Errors
    /// If there is no such input or output, or they are no tensors of real numbers of one shape.
    pub fn keep_state(&mut self, input: &str, output: &str) -> anyhow::Result<()> {
        let names = |ports: &[Port]| ports.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(", ");
        let at = |ports: &[Port], name: &str, what: &str| {
            let found = ports.iter().position(|p| p.name == name);
            found.with_context(|| format!("the model has no {what} {name}: its {what}s are {}", names(ports)))
        };
        let (i, o) = (at(&self.inputs, input, "input")?, at(&self.outputs, output, "output")?);
        let [before, after] = [&self.inputs[i], &self.outputs[o]];
        let (found, left) = (self.value(before.value), self.value(after.value));
        ensure!(
            found.shape == left.shape,
            "input {input} has the shape {:?}, output {output} has {:?}: no state can be both",
            found.shape,
            left.shape
        );
        ensure!(
            before.perm.is_none() && after.perm.is_none() && [found.kind, left.kind] == [Kind::Real; 2],
            "input {input} and output {output} are not both plain tensors of real numbers"
        );
        ensure!(self.producer(after.value).is_some(), "output {output} is not computed");
        let state = State { input: self.inputs.remove(i), output: self.outputs.remove(o) };
        self.states.push(state);
        Ok(())
    }

    /// The states in which the first run begins.
    pub fn initial_states(&self) -> Vec<ArrayD<f32>> {
        self.states.iter().map(|s| ArrayD::zeros(self.value(s.input.value).shape.as_slice())).collect()
    }

    /// The one node that reads `id`, if there is just one and `id` does not leave the graph.
    pub fn sole_consumer(&self, id: ValueId) -> Option<usize> {
        match self.consumers(id).as_slice() {
            [only] if !self.is_output(id) => Some(*only),
            _ => None,
        }
    }

    /// Lets every reader of `old`, the graph's outputs among them, read `new`.
    pub fn replace_uses(&mut self, old: ValueId, new: ValueId) {
        for input in self.nodes.iter_mut().flat_map(|n| &mut n.inputs).filter(|i| **i == old) {
            *input = new;
        }
        let kept = self.states.iter_mut().map(|s| &mut s.output);
        for port in self.outputs.iter_mut().chain(kept).filter(|p| p.value == old) {
            port.value = new;
        }
    }

    /// Multiply-accumulates of one inference.
    pub fn macs(&self) -> u64 {
        self.nodes.iter().map(|n| self.node_macs(n)).sum()
    }

    /// Multiply-accumulates of one node.
    pub fn node_macs(&self, node: &Node) -> u64 {
        let shapes: Vec<&[usize]> = node.inputs.iter().map(|&i| self.value(i).shape.as_slice()).collect();
        node.op.macs(&shapes, &self.value(node.outputs[0]).shape)
    }

    /// Removes nodes whose results nobody reads.
    pub fn prune(&mut self) {
        let kept = self.states.iter().map(|s| &s.output);
        let mut live: std::collections::HashSet<ValueId> = self.outputs.iter().chain(kept).map(|p| p.value).collect();
        let mut keep = vec![false; self.nodes.len()];
        for (i, node) in self.nodes.iter().enumerate().rev() {
            if node.outputs.iter().any(|o| live.contains(o)) {
                keep[i] = true;
                live.extend(&node.inputs);
            }
        }
        let mut it = keep.into_iter();
        self.nodes.retain(|_| it.next().unwrap_or(true));
    }
}
