//! An ONNX graph as it is evaluated and searched: nodes in order, constants folded, names resolved.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use prost::Message;
use tract_onnx::data_resolver::MmapDataResolver;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, type_proto};
use tract_onnx::tensor::load_tensor;

use super::eval;
use super::lower;
use super::value::Value;

/// A node.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) name: String,
    /// Name of the operator. No two domains of those that are known here give a name two meanings, but for their inputs.
    pub(super) op: String,
    /// Whether it is of ONNX's own domain.
    pub(super) standard: bool,
    /// Empty: left out.
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    attributes: HashMap<String, AttributeProto>,
}

impl Node {
    fn of(node: NodeProto) -> Self {
        let name = match node.name.is_empty() {
            true => node.output.first().cloned().unwrap_or_default(),
            false => node.name,
        };
        Self {
            name,
            op: node.op_type,
            standard: matches!(node.domain.as_str(), "" | "ai.onnx"),
            inputs: node.input,
            outputs: node.output,
            attributes: node.attribute.into_iter().map(|a| (a.name.clone(), a)).collect(),
        }
    }

    /// `(name, operator)`, as errors say it.
    pub(super) fn title(&self) -> String {
        format!("node {} ({})", self.name, self.op)
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.attributes.get(name)
    }

    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |a| a.i)
    }

    pub(super) fn float(&self, name: &str, default: f64) -> f64 {
        self.attribute(name).map_or(default, |a| a.f.into())
    }

    pub(super) fn ints(&self, name: &str) -> Option<Vec<i64>> {
        self.attribute(name).map(|a| a.ints.clone())
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.attribute(name).map(|a| String::from_utf8_lossy(&a.s).into_owned())
    }
}

/// An input of the graph that is not initialized in it.
#[derive(Debug, Clone)]
pub(super) struct Input {
    pub(super) name: String,
    /// Axes; `None`: any length.
    pub(super) dims: Vec<Option<usize>>,
}

/// The graph.
#[derive(Debug)]
pub(super) struct Graph {
    /// In topological order, without those that only compute constants.
    pub(super) nodes: Vec<Node>,
    pub(super) constants: HashMap<String, Value>,
    pub(super) inputs: Vec<Input>,
    pub(super) outputs: Vec<String>,
    /// The node that computes a tensor.
    producers: HashMap<String, usize>,
}

impl Graph {
    /// Reads an ONNX file; weights in external files are looked for beside it.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let model = ModelProto::decode(bytes.as_slice()).context("it is no ONNX model")?;
        ensure!(
            model.functions.is_empty(),
            "it has functions of its own, such as {}: inline them (onnx.inliner.inline_local_functions)",
            model.functions[0].name.as_deref().unwrap_or_default()
        );
        Self::of(model.graph.context("it has no graph")?, path.parent())
    }

    fn of(mut graph: GraphProto, folder: Option<&Path>) -> Result<Self> {
        lower::inline_branches(&mut graph)?;
        let mut constants = HashMap::new();
        let folder = folder.map(|f| f.to_string_lossy().into_owned());
        let load = |tensor: &TensorProto| -> Result<Value> {
            Value::of(&load_tensor(&MmapDataResolver, tensor, folder.as_deref())?)
        };
        for tensor in &graph.initializer {
            let value = load(tensor).with_context(|| format!("initializer {}", tensor.name))?;
            constants.insert(tensor.name.clone(), value);
        }
        for node in graph.node.iter().filter(|n| n.op_type == "Constant") {
            let value = constant(node, &load).with_context(|| format!("node {} (Constant)", node.name))?;
            constants.insert(node.output.first().cloned().unwrap_or_default(), value);
        }
        let inputs = graph.input.iter().filter(|i| !constants.contains_key(&i.name)).map(|info| {
            let tensor = info.r#type.as_ref().and_then(|t| t.value.as_ref());
            let Some(type_proto::Value::TensorType(tensor)) = tensor else {
                bail!("input {} is no tensor", info.name);
            };
            let dims = tensor.shape.iter().flat_map(|s| &s.dim).map(|dim| match dim.value {
                Some(tract_onnx::pb::tensor_shape_proto::dimension::Value::DimValue(n)) => usize::try_from(n).ok(),
                _ => None,
            });
            Ok(Input { name: info.name.clone(), dims: dims.collect() })
        });
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        let outputs = graph.output.iter().map(|o| o.name.clone()).collect();
        let nodes = graph.node.into_iter().filter(|n| n.op_type != "Constant").map(Node::of);
        let nodes = lower::lowered(nodes.collect())?;
        let mut graph = Self { nodes: Vec::new(), constants, inputs, outputs, producers: HashMap::new() };
        graph.fold(nodes)?;
        Ok(graph)
    }

    /// Sorts the nodes, and computes what needs no input.
    fn fold(&mut self, nodes: Vec<Node>) -> Result<()> {
        let mut known: HashSet<String> = self.constants.keys().cloned().collect();
        known.extend(self.inputs.iter().map(|i| i.name.clone()));
        known.insert(String::new());
        let mut waiting = nodes;
        while !waiting.is_empty() {
            let before = waiting.len();
            let mut later = Vec::new();
            for node in waiting {
                if !node.inputs.iter().all(|i| known.contains(i)) {
                    later.push(node);
                    continue;
                }
                known.extend(node.outputs.iter().cloned());
                let given = |name: &String| name.is_empty() || self.constants.contains_key(name);
                if node.inputs.iter().all(given) && !node.op.starts_with("Random") {
                    let inputs: Vec<_> = node.inputs.iter().map(|i| self.constants.get(i)).collect();
                    let values = eval::node(&node, &inputs)?;
                    self.constants.extend(node.outputs.iter().cloned().zip(values));
                } else {
                    self.producers.extend(node.outputs.iter().map(|o| (o.clone(), self.nodes.len())));
                    self.nodes.push(node);
                }
            }
            ensure!(later.len() < before, "{} reads what nothing computes", later[0].title());
            waiting = later;
        }
        Ok(())
    }

    /// The node that computes a tensor; `None` of inputs and constants.
    pub(super) fn producer(&self, tensor: &str) -> Option<&Node> {
        self.producers.get(tensor).map(|&i| &self.nodes[i])
    }

    /// What `wanted` is where some tensors are given. What the given ones make unnecessary is not computed.
    pub(super) fn eval(&self, given: &HashMap<String, Value>, wanted: &[&str]) -> Result<Vec<Value>> {
        let mut needed = vec![false; self.nodes.len()];
        let mut stack: Vec<&str> = wanted.to_vec();
        while let Some(tensor) = stack.pop() {
            if tensor.is_empty() || given.contains_key(tensor) || self.constants.contains_key(tensor) {
                continue;
            }
            let &node = self.producers.get(tensor).with_context(|| format!("input {tensor} is of no known kind"))?;
            if !std::mem::replace(&mut needed[node], true) {
                stack.extend(self.nodes[node].inputs.iter().map(String::as_str));
            }
        }
        let mut found: HashMap<&str, Value> = HashMap::new();
        let look = |found: &HashMap<&str, Value>, name: &str| -> Option<Value> {
            given.get(name).or_else(|| found.get(name)).or_else(|| self.constants.get(name)).cloned()
        };
        for node in self.nodes.iter().zip(&needed).filter(|(_, needed)| **needed).map(|(node, _)| node) {
            let inputs: Vec<_> = node.inputs.iter().map(|name| look(&found, name)).collect();
            let inputs: Vec<_> = inputs.iter().map(Option::as_ref).collect();
            let values = eval::node(node, &inputs)?;
            found.extend(node.outputs.iter().map(String::as_str).zip(values));
        }
        wanted
            .iter()
            .map(|name| look(&found, name).with_context(|| format!("tensor {name} was not computed")))
            .collect()
    }

    /// Whether `tensor` depends on one of `sources`, not looking behind `cut`.
    pub(super) fn depends(&self, tensor: &str, sources: &[&str], cut: &[&str]) -> bool {
        let mut seen = HashSet::new();
        let mut stack = vec![tensor];
        while let Some(tensor) = stack.pop() {
            if sources.contains(&tensor) {
                return true;
            }
            if cut.contains(&tensor) || !seen.insert(tensor) {
                continue;
            }
            stack.extend(self.producer(tensor).into_iter().flat_map(|n| &n.inputs).map(String::as_str));
        }
        false
    }
}

/// The value of a Constant node.
fn constant(node: &NodeProto, load: &dyn Fn(&TensorProto) -> Result<Value>) -> Result<Value> {
    let attribute = node.attribute.first().context("without a value")?;
    match attribute.name.as_str() {
        "value" => load(attribute.t.as_ref().context("without a tensor")?),
        "value_float" => Value::floats(&[], vec![attribute.f.into()]),
        "value_floats" => {
            Value::floats(&[attribute.floats.len()], attribute.floats.iter().map(|&v| v.into()).collect())
        }
        "value_int" => Value::integers(&[], vec![attribute.i]),
        "value_ints" => Value::integers(&[attribute.ints.len()], attribute.ints.clone()),
        other => bail!("its attribute {other} is not supported"),
    }
}

/// A node made here.
pub(super) fn made(name: String, op: &str, inputs: Vec<String>, outputs: Vec<String>, of: Option<&Node>) -> Node {
    let attributes = of.map(|n| n.attributes.clone()).unwrap_or_default();
    Node { name, op: op.into(), standard: true, inputs, outputs, attributes }
}
