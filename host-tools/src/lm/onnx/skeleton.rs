//! The skeleton of a decoder: its matrix products with constant weights, and the stream of additions between embedding and
//! logits.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result, ensure};
use ndarray::{Array1, Array2, Axis, s};

use super::graph::{Graph, Node};
use super::inputs::Feed;
use super::value::Value;
use super::vector;

/// `input · weightᵀ + bias`
#[derive(Debug, Clone)]
pub(super) struct Product {
    pub(super) title: String,
    pub(super) input: String,
    /// The tensor that holds it.
    pub(super) output: String,
    /// `(out, in)`
    pub(super) weight: Array2<f32>,
    pub(super) bias: Option<Array1<f32>>,
}

impl Product {
    pub(super) fn scale(&mut self, by: f32) {
        self.weight *= by;
        if let Some(bias) = &mut self.bias {
            *bias *= by;
        }
    }
}

/// What is added to the stream.
#[derive(Debug)]
pub(super) struct Block {
    /// The addition.
    pub(super) title: String,
    /// The last product.
    pub(super) product: Product,
    /// The first products.
    pub(super) sources: Vec<Product>,
    /// The stream before it.
    pub(super) stream: String,
    /// Whether tokens see one another in it.
    pub(super) mixes: bool,
}

/// From embedding to logits.
#[derive(Debug)]
pub(super) struct Skeleton {
    /// The stream's first tensor.
    pub(super) start: String,
    /// In the order of the computation.
    pub(super) blocks: Vec<Block>,
    /// The stream behind all blocks.
    pub(super) last: String,
    pub(super) head: Product,
    /// Shapes of all tensors in one run.
    pub(super) shapes: HashMap<String, Vec<usize>>,
}

/// Operators in which tokens see one another.
const MIXERS: [&str; 7] =
    ["Softmax", "MatMul", "FusedMatMul", "Einsum", "GroupQueryAttention", "MultiHeadAttention", "Attention"];

impl Skeleton {
    /// Follows the stream backwards from the logits.
    pub(super) fn find(graph: &Graph, given: &HashMap<String, Value>, feed: &Feed<'_>) -> Result<Self> {
        let all: Vec<&str> = graph.nodes.iter().flat_map(|n| &n.outputs).map(String::as_str).collect();
        let computed: Vec<&str> = all.iter().copied().filter(|name| !name.is_empty()).collect();
        let values = graph.eval(given, &computed)?;
        let shapes: HashMap<String, Vec<usize>> =
            computed.iter().zip(values).map(|(name, value)| (name.to_string(), value.shape().to_vec())).collect();
        let finder = Finder { graph, shapes: &shapes };
        let logits = finder.root(feed.logits);
        let head = finder
            .product(logits, true)
            .with_context(|| format!("{}: the logits are no product with a constant matrix", finder.title(logits)))?;
        let last = finder.nearest_addition(&head.input).with_context(|| {
            format!("{}: no residual addition (x + block) is found before the logits", finder.title(&head.input))
        })?;
        let mut blocks = Vec::new();
        let mut at = last.clone();
        while let Some((product, stream)) = finder.addition(&at) {
            let title = finder.title(&at);
            let (sources, mixes) = finder.sources(&product, &stream);
            ensure!(
                !sources.is_empty(),
                "{title}: no matrix product that reads the residual stream before this addition leads to it (blocks side by side are not \
                 supported, only attention and MLP in turn)"
            );
            at.clone_from(&stream);
            blocks.push(Block { title, product, sources, stream, mixes });
        }
        blocks.reverse();
        let stray = finder.cone(&at, &[]).into_iter().find(|node| MIXERS.contains(&node.op.as_str()));
        ensure!(
            stray.is_none(),
            "{}: it is neither a residual addition of a matrix product nor the embedding; supported are blocks x + f(norm(x)), \
             attention and MLP in turn",
            finder.title(&at)
        );
        Ok(Self { start: at, blocks, last, head, shapes })
    }
}

struct Finder<'a> {
    graph: &'a Graph,
    shapes: &'a HashMap<String, Vec<usize>>,
}

impl<'a> Finder<'a> {
    fn title(&self, tensor: &str) -> String {
        self.graph.producer(tensor).map_or_else(|| format!("tensor {tensor}"), Node::title)
    }

    fn last_dim(&self, tensor: &str) -> usize {
        self.shapes.get(tensor).and_then(|s| s.last()).copied().unwrap_or(0)
    }

    /// The tensor behind nodes that keep all elements in their order.
    fn root<'t>(&self, tensor: &'t str) -> &'t str
    where
        'a: 't,
    {
        root(self.graph, tensor)
    }

    /// The product that a tensor holds; with `scaled` also if it is multiplied by constants.
    fn product(&self, tensor: &str, scaled: bool) -> Option<Product> {
        let node = self.graph.producer(tensor)?;
        let constant = |i: usize| self.graph.constants.get(node.inputs.get(i)?);
        let of = |i: usize| node.inputs.get(i).and_then(|t| self.product(self.root(t), scaled));
        let found = match node.op.as_str() {
            "MatMul" | "FusedMatMul" | "Gemm" => {
                let weight = constant(1)?.f();
                let flat = weight.as_standard_layout().into_owned().mapv(|w| w as f32);
                let weight = flat.into_shape_with_order(matrix_shape(weight.shape())?).ok()?;
                let turned = node.int("transB", 0) != 0;
                ensure_none(node.int("transA", 0) == 0)?;
                let weight = if turned { weight } else { weight.reversed_axes() };
                let weight = weight * node.float("alpha", 1.0) as f32;
                let bias = match node.inputs.get(2).filter(|_| node.op == "Gemm").filter(|name| !name.is_empty()) {
                    Some(_) => {
                        let beta = node.float("beta", 1.0);
                        Some(spread(constant(2)?, weight.nrows())?.mapv(|v| v * beta as f32))
                    }
                    None => None,
                };
                let input = node.inputs.first()?.clone();
                Product {
                    title: node.title(),
                    input,
                    output: String::new(),
                    weight: weight.as_standard_layout().into_owned(),
                    bias,
                }
            }
            "Add" | "Sub" => {
                let (mut product, added) = match (constant(0), constant(1)) {
                    (None, Some(added)) => (of(0)?, added),
                    (Some(added), None) if node.op == "Add" => (of(1)?, added),
                    _ => return None,
                };
                let outputs = product.weight.nrows();
                ensure_none(self.last_dim(tensor) == outputs && added.shape().last() == Some(&outputs))?;
                let sign = if node.op == "Sub" { -1.0 } else { 1.0 };
                let added = spread(added, outputs)?.mapv(|v| v * sign);
                product.bias = Some(product.bias.map_or(added.clone(), |b| b + &added));
                product
            }
            "Mul" | "Div" if scaled => {
                let (mut product, factor) = match (constant(0), constant(1)) {
                    (None, Some(factor)) => (of(0)?, factor),
                    (Some(factor), None) if node.op == "Mul" => (of(1)?, factor),
                    _ => return None,
                };
                ensure_none(factor.len() == 1 || self.last_dim(tensor) == product.weight.nrows())?;
                let factor = spread(factor, product.weight.nrows())?;
                let factor = if node.op == "Div" { factor.mapv(f32::recip) } else { factor };
                product.weight *= &factor.view().insert_axis(Axis(1));
                product.bias = product.bias.map(|b| b * &factor);
                product
            }
            "Split" | "Slice" => {
                let whole = of(0)?;
                let from = self.graph.producer(tensor)?.inputs.first()?;
                ensure_none(self.last_dim(from) == whole.weight.nrows())?;
                let range = self.columns(node, tensor, whole.weight.nrows())?;
                Product {
                    weight: whole.weight.slice(s![range.clone(), ..]).to_owned(),
                    bias: whole.bias.map(|b| b.slice(s![range]).to_owned()),
                    ..whole
                }
            }
            _ => return None,
        };
        Some(Product { output: tensor.into(), ..found })
    }

    /// The columns of a Split or Slice along the last axis.
    fn columns(&self, node: &Node, tensor: &str, width: usize) -> Option<std::ops::Range<usize>> {
        let rank = self.shapes.get(tensor)?.len() as i64;
        let along_last = |axis: i64| axis == -1 || axis == rank - 1;
        let list = |i: usize, name: &str| {
            node.inputs.get(i).and_then(|n| self.graph.constants.get(n)).map(Value::list).or_else(|| node.ints(name))
        };
        if node.op == "Split" {
            ensure_none(along_last(node.int("axis", 0)))?;
            let at = node.outputs.iter().position(|o| o == tensor)?;
            let from: usize = node.outputs[..at].iter().map(|o| self.last_dim(o)).sum();
            return Some(from..from + self.last_dim(tensor));
        }
        let (starts, ends) = (list(1, "starts")?, list(2, "ends")?);
        let axes = list(3, "axes").unwrap_or_else(|| vec![0]);
        let steps = list(4, "steps").unwrap_or_else(|| vec![1]);
        ensure_none(starts.len() == 1 && axes.len() == 1 && along_last(axes[0]) && steps == [1])?;
        let width = width as i64;
        let place = |i: i64| (if i < 0 { i + width } else { i }).clamp(0, width) as usize;
        Some(place(starts[0])..place(ends[0]))
    }

    /// If a tensor is the stream plus a product: the product, and the stream.
    fn addition(&self, tensor: &str) -> Option<(Product, String)> {
        let node = self.graph.producer(tensor).filter(|n| n.op == "Add")?;
        let [a, b] = [0, 1].map(|i| node.inputs.get(i).map(|t| self.root(t)));
        let (a, b) = (a?, b?);
        let constant = |t: &str| self.graph.constants.contains_key(t);
        ensure_none(!constant(a) && !constant(b))?;
        let found = |t: &str| self.product(t, true);
        match (found(a), found(b)) {
            (None, Some(product)) => Some((product, a.into())),
            (Some(product), None) => Some((product, b.into())),
            _ => None,
        }
    }

    /// The addition to the stream from which a tensor comes, with no other between.
    fn nearest_addition(&self, tensor: &str) -> Option<String> {
        let mut seen = HashSet::new();
        let mut waiting = std::collections::VecDeque::from([tensor]);
        while let Some(tensor) = waiting.pop_front() {
            if !seen.insert(tensor) {
                continue;
            }
            if self.addition(tensor).is_some() {
                return Some(tensor.into());
            }
            waiting.extend(self.graph.producer(tensor).into_iter().flat_map(|n| &n.inputs).map(String::as_str));
        }
        None
    }

    /// The nodes before a tensor, not looking behind `cut`.
    fn cone(&self, tensor: &'a str, cut: &[&str]) -> Vec<&'a Node> {
        let mut seen = HashSet::new();
        let mut stack = vec![tensor];
        let mut nodes = Vec::new();
        while let Some(tensor) = stack.pop() {
            if cut.contains(&tensor) || !seen.insert(tensor) {
                continue;
            }
            if let Some(node) = self.graph.producer(tensor) {
                nodes.push(node);
                stack.extend(node.inputs.iter().map(String::as_str));
            }
        }
        nodes
    }

    /// The first products behind the stream on the way to `last`, and whether tokens mix on it.
    fn sources(&self, last: &Product, stream: &str) -> (Vec<Product>, bool) {
        let mut seen = HashSet::new();
        let mut stack = vec![last.input.as_str()];
        let (mut products, mut mixes) = (Vec::new(), false);
        while let Some(tensor) = stack.pop() {
            if tensor == stream || !seen.insert(tensor) {
                continue;
            }
            if let Some(product) = self.product(tensor, false) {
                // Others give the angles of positions.
                if self.graph.depends(&product.input, &[stream], &[]) {
                    products.push(product);
                }
                continue;
            }
            let Some(node) = self.graph.producer(tensor) else { continue };
            mixes |= MIXERS.contains(&node.op.as_str());
            // What only gives shapes is no way.
            if !matches!(node.op.as_str(), "Shape" | "Size") {
                stack.extend(node.inputs.iter().map(String::as_str));
            }
        }
        (products, mixes)
    }
}

/// The tensor behind nodes that keep all elements in their order.
pub(super) fn root<'t>(graph: &'t Graph, tensor: &'t str) -> &'t str {
    const KEEP: [&str; 8] = ["Identity", "Cast", "CastLike", "Dropout", "Reshape", "Squeeze", "Unsqueeze", "Flatten"];
    let mut tensor = tensor;
    while let Some(node) = graph.producer(tensor).filter(|n| KEEP.contains(&n.op.as_str())) {
        let Some(input) = node.inputs.first() else { break };
        tensor = input;
    }
    tensor
}

fn ensure_none(holds: bool) -> Option<()> {
    holds.then_some(())
}

/// Two axes, leading ones dropped.
fn matrix_shape(shape: &[usize]) -> Option<(usize, usize)> {
    let (&columns, rest) = shape.split_last()?;
    let (&rows, rest) = rest.split_last()?;
    rest.iter().all(|&d| d == 1).then_some((rows, columns))
}

/// A constant of one element, or `len`, as `len`.
fn spread(value: &Value, len: usize) -> Option<Array1<f32>> {
    let values = value.f();
    match values.len() {
        1 => Some(Array1::from_elem(len, *values.first()? as f32)),
        n if n == len => Some(vector(values.iter().copied())),
        _ => None,
    }
}
