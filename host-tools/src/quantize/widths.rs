//! int8 or int16: the type of every activation.

use std::str::FromStr;

use anyhow::{Result, bail, ensure};
use teff::format::DataType;

use super::{QuantParams, Rule, wide};
use crate::ir::{Graph, Kind, Node, Value, ValueId};
use crate::ops::Op;

/// How wide an activation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Width {
    /// int8 with any zero point: a byte a value, about 48 dB.
    #[default]
    Int8,
    /// Symmetric int16: two bytes a value, about 96 dB.
    Int16,
}

impl Width {
    /// The element type.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Int8 => DataType::I8,
            Self::Int16 => DataType::I16,
        }
    }
}

impl FromStr for Width {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "8" | "int8" => Ok(Self::Int8),
            "16" | "int16" => Ok(Self::Int16),
            _ => bail!("activations of {text:?} bits: 8 or 16"),
        }
    }
}

/// The widths of the activations of a graph.
///
/// A node computes in int16 if an activation that it reads or writes is int16; the others among them are converted, so
/// that int16 always reaches from the producer of a value to its readers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Widths {
    /// Of all that are not named.
    pub default: Width,
    /// Activations in int16.
    pub int16: Vec<ValueId>,
}

impl Widths {
    /// `default`, but what the nodes of these names read and write in int16. A name of a graph input or other activation
    /// stands for that one.
    ///
    /// # Errors
    /// If there is no such node or activation; the message names some that there are.
    pub fn keep(graph: &Graph, default: Width, names: &[String]) -> Result<Self> {
        let mut int16 = Vec::new();
        for name in names {
            let before = int16.len();
            for node in graph.nodes.iter().filter(|node| node.name == *name) {
                int16.extend(node.inputs.iter().chain(&node.outputs).filter(|id| is_real_activation(graph, **id)));
            }
            let of_name = |id: &ValueId| graph.value(*id).name == *name && is_real_activation(graph, *id);
            int16.extend((0..graph.values.len()).map(ValueId).filter(of_name));
            ensure!(int16.len() > before, "there is no layer {name:?}; {}", nearest(graph, name));
            let free = int16[before..].iter().any(|id| graph.value(*id).pin.is_none());
            ensure!(free, "layer {name:?} is quantized already: the model prescribes int8");
        }
        int16.sort_unstable();
        int16.dedup();
        Ok(Self { default, int16 })
    }

    /// Whether an activation is int16 by choice.
    pub fn is_int16(&self, id: ValueId) -> bool {
        self.default == Width::Int16 || self.int16.contains(&id)
    }

    /// The activations whose width can be chosen each for itself: all real ones but those that are another's values moved,
    /// those of operators without an int16 form, and those that a quantized
    /// model prescribes.
    pub fn independent(graph: &Graph) -> Vec<ValueId> {
        let inputs = graph.inputs.iter().map(|port| port.value);
        let computed = graph.nodes.iter().filter(|node| node.op.has_int16() && node.op.rule() != Rule::SameAsInput);
        let outputs = computed.flat_map(|node| node.outputs.iter().copied());
        let free = |id: &ValueId| is_real_activation(graph, *id) && graph.value(*id).pin.is_none();
        inputs.chain(outputs).filter(free).collect()
    }

    /// The widths in words, for the file; `None` if all are int8.
    pub fn describe(&self, graph: &Graph) -> Option<String> {
        match (self.default, self.int16.as_slice()) {
            (Width::Int16, _) => Some("int16".to_string()),
            (Width::Int8, []) => None,
            (Width::Int8, named) => {
                let names: Vec<&str> = named.iter().map(|id| graph.value(*id).name.as_str()).collect();
                Some(format!("int8, but in int16: {}", names.join(", ")))
            }
        }
    }

    /// The type of each value, int8 for constants.
    pub(super) fn of_values(&self, graph: &Graph) -> Vec<DataType> {
        let of_kind = |kind: Kind| match kind {
            Kind::Real => self.default.data_type(),
            other => QuantParams::of_kind(other).data_type,
        };
        let of_value = |value: &Value| value.pin.map_or_else(|| of_kind(value.kind), |pin| pin.data_type);
        let mut types: Vec<DataType> = graph.values.iter().map(of_value).collect();
        let free = |id: ValueId| graph.value(id).kind == Kind::Real && graph.value(id).pin.is_none();
        for id in self.int16.iter().filter(|id| free(**id)) {
            types[id.0] = DataType::I16;
        }
        for node in graph.nodes.iter().filter(|node| !node.op.has_int16()) {
            for y in node.outputs.iter().filter(|y| free(**y)) {
                types[y.0] = DataType::I8;
            }
        }
        // What only moves values has the same type on both sides: the prescribed one, or int16 if either wants it.
        let moves = |node: &&Node| node.op.rule() == Rule::SameAsInput && is_real_activation(graph, node.inputs[0]);
        let moving: Vec<[ValueId; 2]> =
            graph.nodes.iter().filter(moves).map(|node| [node.inputs[0], node.outputs[0]]).collect();
        let mut settled: Vec<bool> = graph.values.iter().map(|value| value.pin.is_some()).collect();
        for &[x, y] in moving.iter().chain(moving.iter().rev()).chain(&moving) {
            let (from, to) = if settled[x.0] { (x, y) } else { (y, x) };
            if settled[from.0] && !settled[to.0] {
                (types[to.0], settled[to.0]) = (types[from.0], true);
            }
        }
        for &[x, y] in moving.iter().chain(moving.iter().rev()).chain(&moving) {
            let wide = types[x.0] == DataType::I16 || types[y.0] == DataType::I16;
            if wide && !settled[x.0] && !settled[y.0] {
                (types[x.0], types[y.0]) = (DataType::I16, DataType::I16);
            }
        }
        if self.default == Width::Int16 || !self.int16.is_empty() {
            for id in wide::values(graph, &types) {
                types[id.0] = DataType::I32;
            }
        }
        types
    }
}

/// Whether `id` is an activation of real numbers.
pub(super) fn is_real_activation(graph: &Graph, id: ValueId) -> bool {
    graph.value(id).kind == Kind::Real && graph.data(id).is_none()
}

/// The type in which a node computes; that of what a table reads, which may give another.
pub(super) fn node_type(graph: &Graph, node: &Node, types: &[DataType]) -> DataType {
    let y = node.outputs[0];
    if graph.value(y).kind == Kind::Real && types[y.0] == DataType::I32 && !matches!(node.op, Op::Table(_)) {
        return DataType::I32;
    }
    let mut activations = node.inputs.iter().chain(&node.outputs).filter(|id| is_real_activation(graph, **id));
    let wide = node.op.has_int16() && activations.any(|id| types[id.0] != DataType::I8);
    if wide { DataType::I16 } else { DataType::I8 }
}

/// The names that share most with `name`.
fn nearest(graph: &Graph, name: &str) -> String {
    const SHOWN: usize = 5;
    let wanted = name.to_lowercase();
    let likeness = |candidate: &str| strsim::jaro_winkler(&wanted, &candidate.to_lowercase());
    let mut names: Vec<(f64, &str)> = graph.nodes.iter().map(|n| (likeness(&n.name), n.name.as_str())).collect();
    names.sort_by(|a, b| b.0.total_cmp(&a.0));
    names.dedup();
    let names: Vec<&str> = names.into_iter().map(|(_, name)| name).take(SHOWN).collect();
    format!("among its layers are {}", names.join(", "))
}
