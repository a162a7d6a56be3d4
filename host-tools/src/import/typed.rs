//! Walks tract's typed graph and builds the IR.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result, bail, ensure};
use ndarray::{ArrayD, IxDyn};
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{AxisOp, EvalOp};
use tract_onnx::tract_core::ops as t;

use super::opaque::Opaque;
use super::quantized::mark::{Mark, Marked};
use super::{Unsupported, UnsupportedNode, vet};
use crate::ir::{Graph, Integers, Kind, Port, ValueId, gather, places};
use crate::ops::{Op, reshape::Reshape, transpose::Transpose};

/// What an outlet of tract's graph is in the IR.
#[derive(Debug, Clone)]
pub(super) enum Wire {
    /// An activation.
    Value(ValueId),
    /// A constant of any type.
    Const(Arc<Tensor>),
    /// A constant of a quantized model.
    Integers(Arc<Integers>),
    /// The output of a node that is not supported, of no type that the IR has.
    Broken,
}

impl Wire {
    /// The same, with the real numbers of a constant of integers.
    fn real(&self) -> Result<Wire> {
        let Wire::Integers(integers) = self else { return Ok(self.clone()) };
        let reals = integers.reals();
        let flat: Vec<f32> = reals.iter().copied().collect();
        Ok(Wire::Const(Tensor::from_shape(reals.shape(), &flat)?.into()))
    }
}

/// The state of the walk.
pub(super) struct Importer<'m> {
    pub(super) model: &'m TypedModel,
    pub(super) graph: Graph,
    pub(super) marks: Vec<Mark>,
    wires: HashMap<OutletId, Wire>,
}

/// Builds the IR of a decluttered graph; `proto` is the model that it was read from, `marks` what its marks stand for.
pub(super) fn import(model: &TypedModel, proto: &ModelProto, marks: Vec<Mark>) -> Result<Graph> {
    let mut importer = Importer { model, graph: Graph::default(), marks, wires: HashMap::new() };
    let names = OnnxNames::new(proto);
    let mut refused = Vec::new();
    for &outlet in model.input_outlets()? {
        importer.source(outlet)?;
    }
    for id in model.eval_order()? {
        let node = model.node(id);
        let before = importer.graph.nodes.len();
        if let Err(error) = importer.node(node) {
            importer.graph.nodes.truncate(before);
            refused.push(names.entry(model, node, format!("{error:#}")));
            importer.replace(node)?;
        }
    }
    if !refused.is_empty() {
        return Err(Unsupported { nodes: refused }.into());
    }
    names.rename(&mut importer.graph);
    let outputs = proto.graph.iter().flat_map(|g| &g.output);
    for (&outlet, output) in model.output_outlets()?.iter().zip(outputs) {
        let Wire::Value(value) = importer.wire(outlet)? else {
            bail!("output {} does not depend on any input: there is nothing to compute on the device", output.name)
        };
        let onnx_shape = importer.graph.value(value).shape.clone();
        importer.graph.outputs.push(Port { value, name: output.name.clone(), onnx_shape, perm: None });
    }
    Ok(importer.graph)
}

impl Importer<'_> {
    fn source(&mut self, outlet: OutletId) -> Result<()> {
        let name = self.model.node(outlet.node).name.clone();
        let shape = self.shape(outlet).with_context(|| format!("input {name}"))?;
        let kind = kind(self.model.outlet_fact(outlet)?.datum_type).with_context(|| format!("input {name}"))?;
        let value = self.graph.activation_of(kind, &name, &shape);
        self.graph.inputs.push(Port { value, name, onnx_shape: shape, perm: None });
        self.wires.insert(outlet, Wire::Value(value));
        Ok(())
    }

    fn node(&mut self, node: &TypedNode) -> Result<()> {
        if self.model.input_outlets()?.iter().any(|i| i.node == node.id) {
            return Ok(());
        }
        if let Some(constants) = node.outputs.iter().map(|o| o.fact.konst.clone()).collect::<Option<Vec<_>>>() {
            for (slot, tensor) in constants.into_iter().enumerate() {
                self.wires.insert(OutletId::new(node.id, slot), Wire::Const(tensor));
            }
            return Ok(());
        }
        let inputs: Vec<Wire> = node.inputs.iter().map(|&i| self.wire(i)).collect::<Result<_>>()?;
        if inputs.iter().any(|w| matches!(w, Wire::Broken)) {
            return self.replace(node);
        }
        let wires = match node.op_as::<Opaque>() {
            Some(op) => {
                let reals = inputs.iter().map(Wire::real).collect::<Result<Vec<_>>>()?;
                self.opaque(node, op, &reals)?.into_iter().map(Wire::Value).collect()
            }
            None if node.op_is::<t::array::Topk>() => self.top_k(node, &inputs)?.map(Wire::Value).to_vec(),
            None => {
                let wire = self.operator(node, &inputs);
                vec![wire.or_else(|refused| self.claimed(node, &inputs).unwrap_or(Err(refused)))?]
            }
        };
        ensure!(node.outputs.len() == wires.len(), "a node with {} outputs", node.outputs.len());
        for (slot, wire) in wires.into_iter().enumerate() {
            let outlet = OutletId::new(node.id, slot);
            if let Wire::Value(value) = wire {
                let (got, want) = (&self.graph.value(value).shape, self.shape(outlet)?);
                ensure!(
                    *got == want,
                    "the result has the shape {got:?} instead of {want:?}: operands of these shapes do not combine"
                );
            }
            self.wires.insert(outlet, wire);
        }
        Ok(())
    }

    fn operator(&mut self, node: &TypedNode, inputs: &[Wire]) -> Result<Wire> {
        let op = node.op();
        let value = if let Some(op) = op.downcast_ref::<t::cnn::Conv>() {
            self.conv(node, op, inputs)?
        } else if let Some(op) = op.downcast_ref::<t::cnn::MaxPool>() {
            self.max_pool(node, op, inputs)?
        } else if let Some(op) = op.downcast_ref::<t::cnn::SumPool>() {
            self.sum_pool(node, op, inputs)?
        } else if let Some(op) = op.downcast_ref::<t::einsum::EinSum>() {
            self.product(node, op, inputs)?
        } else if let Some(op) = op.downcast_ref::<t::binary::TypedBinOp>() {
            self.binary(node, op, inputs)?
        } else if let Some(op) = op.downcast_ref::<t::element_wise::ElementWiseOp>() {
            self.element_wise(node, op, inputs)?
        } else if op.is::<t::logic::Iff>() {
            self.select(node, inputs)?
        } else if let Some(op) = op.downcast_ref::<t::nn::Reduce>() {
            self.reduce(node, op, inputs)?
        } else if let Some(op) = op.downcast_ref::<t::nn::Softmax>() {
            self.softmax(node, op, inputs)?
        } else if let Some(op) = op.downcast_ref::<t::nn::RmsNorm>() {
            self.rms_norm(node, op, inputs)?
        } else if op.is::<t::identity::Identity>() {
            return Ok(inputs[0].clone());
        } else if let Some(op) = op.downcast_ref::<Marked>() {
            return self.mark(node, op, inputs);
        } else if let (Some(op), Wire::Integers(integers)) = (op.downcast_ref::<AxisOp>(), &inputs[0]) {
            let at = moved(&integers.q, |places| op.eval_out_of_plan(tvec!(places.into())))?;
            return Ok(Wire::Integers(integers.at(&at).into()));
        } else {
            self.layout(node, inputs)?
        };
        Ok(Wire::Value(value))
    }

    /// A node that an operator's own file knows.
    fn claimed(&mut self, node: &TypedNode, inputs: &[Wire]) -> Option<Result<Wire>> {
        let op = Op::claim(node)?;
        let operands = (0..inputs.len()).map(|i| self.value(node, inputs, i)).collect::<Result<Vec<_>>>();
        Some(operands.and_then(|operands| self.push(&node.name, op, &operands)).map(Wire::Value))
    }

    /// Stands in for the outputs of a refused node, so that the walk can go on and find the others.
    fn replace(&mut self, node: &TypedNode) -> Result<()> {
        for (slot, output) in node.outputs.iter().enumerate() {
            let outlet = OutletId::new(node.id, slot);
            let wire = match (kind(output.fact.datum_type), self.shape(outlet)) {
                (Ok(kind), Ok(shape)) => Wire::Value(self.graph.activation_of(kind, &node.name, &shape)),
                _ => Wire::Broken,
            };
            self.wires.insert(outlet, wire);
        }
        Ok(())
    }

    fn wire(&self, outlet: OutletId) -> Result<Wire> {
        self.wires.get(&outlet).cloned().with_context(|| format!("tensor {outlet:?} is read before it is computed"))
    }

    /// The fixed shape of an outlet.
    pub(super) fn shape(&self, outlet: OutletId) -> Result<Vec<usize>> {
        let fact = self.model.outlet_fact(outlet)?;
        match fact.shape.as_concrete() {
            Some(shape) => Ok(shape.to_vec()),
            None => {
                bail!("the shape {:?} is not fixed: fix the input's shape with --input name=1,3,48,192", fact.shape)
            }
        }
    }

    /// An operand that must be an activation, or a float constant.
    pub(super) fn value(&mut self, node: &TypedNode, inputs: &[Wire], i: usize) -> Result<ValueId> {
        match &inputs[i] {
            Wire::Value(value) => Ok(*value),
            Wire::Const(tensor) => {
                let (kind, data) = elements(tensor)?;
                Ok(self.graph.constant_of(kind, format!("{}.{i}", node.name), data))
            }
            Wire::Integers(integers) => {
                Ok(self.graph.integers(format!("{}.{i}", node.name), integers.as_ref().clone()))
            }
            Wire::Broken => {
                bail!("operand {i} is of the type {:?}", self.model.outlet_fact(node.inputs[i])?.datum_type)
            }
        }
    }

    /// Appends a node.
    pub(super) fn push(&mut self, name: &str, op: impl Into<Op>, inputs: &[ValueId]) -> Result<ValueId> {
        self.graph.push(name, op.into(), inputs)
    }

    /// The value under another shape.
    pub(super) fn reshape(&mut self, name: &str, value: ValueId, shape: &[usize]) -> Result<ValueId> {
        if self.graph.value(value).shape == shape {
            return Ok(value);
        }
        self.push(name, Reshape { shape: shape.to_vec() }, &[value])
    }

    /// The value with its axes permuted.
    pub(super) fn transpose(&mut self, name: &str, value: ValueId, perm: &[usize]) -> Result<ValueId> {
        let op = Transpose { perm: perm.to_vec() };
        if op.is_identity() { Ok(value) } else { self.push(name, op, &[value]) }
    }

    /// The dimensions of a value.
    pub(super) fn dims(&self, value: ValueId) -> Vec<usize> {
        self.graph.value(value).shape.clone()
    }
}

/// Where the elements of a constant of the shape of `of` are after tract has moved them.
fn moved(of: &ArrayD<i32>, f: impl FnOnce(Tensor) -> TractResult<Option<TVec<TValue>>>) -> Result<ArrayD<usize>> {
    let result = f(index_tensor(of.shape())?)?.context("tract moves no constants")?;
    let moved = result.first().context("no result")?;
    places_of(moved)
}

/// The places 0, 1, … in row-major order, for tract to move.
fn index_tensor(shape: &[usize]) -> Result<Tensor> {
    let len = shape.iter().product::<usize>() as i64;
    Tensor::from_shape(shape, &(0..len).collect::<Vec<i64>>())
}

/// The places in a tensor that tract has moved.
fn places_of(tensor: &Tensor) -> Result<ArrayD<usize>> {
    let data = tensor.to_plain_array_view::<i64>()?;
    Ok(ArrayD::from_shape_vec(IxDyn(data.shape()), data.iter().map(|&i| i as usize).collect())?)
}

/// Constant weights or biases, real numbers or integers.
#[derive(Debug, Clone)]
pub(super) struct Weights {
    pub(super) reals: ArrayD<f32>,
    integers: Option<Integers>,
}

impl Weights {
    /// Operand `i`, if it is constant.
    pub(super) fn of(inputs: &[Wire], i: usize) -> Result<Option<Self>> {
        Ok(match inputs.get(i) {
            Some(Wire::Const(tensor)) => Some(Self { reals: floats(tensor)?, integers: None }),
            Some(Wire::Integers(integers)) => {
                Some(Self { reals: integers.reals(), integers: Some(integers.as_ref().clone()) })
            }
            _ => None,
        })
    }

    /// So many zeros.
    pub(super) fn zeros(len: usize) -> Self {
        Self { reals: ArrayD::zeros(IxDyn(&[len])), integers: None }
    }

    /// The elements at the places `at`, counted in row-major order.
    pub(super) fn at(&self, at: &ArrayD<usize>) -> Self {
        Self { reals: gather(&self.reals, at), integers: self.integers.as_ref().map(|i| i.at(at)) }
    }

    /// The elements as tract moves them.
    pub(super) fn moved(&self, f: impl FnOnce(&Tensor) -> TractResult<Tensor>) -> Result<Self> {
        Ok(self.at(&places_of(&f(&index_tensor(self.reals.shape())?)?)?))
    }

    /// The elements as ndarray moves them.
    pub(super) fn rearranged(&self, f: impl FnOnce(ArrayD<usize>) -> Result<ArrayD<usize>>) -> Result<Self> {
        Ok(self.at(&f(places(self.reals.shape()))?))
    }

    /// The graph's constant.
    pub(super) fn add_to(self, graph: &mut Graph, name: String) -> ValueId {
        match self.integers {
            Some(integers) => graph.integers(name, integers),
            None => graph.constant(name, self.reals),
        }
    }
}

/// A constant operand.
pub(super) fn constant(inputs: &[Wire], i: usize) -> Option<&Arc<Tensor>> {
    match inputs.get(i) {
        Some(Wire::Const(tensor)) => Some(tensor),
        _ => None,
    }
}

/// What elements of tract's type are in the IR.
pub(super) fn kind(datum_type: DatumType) -> Result<Kind> {
    match datum_type {
        dt if dt.is_float() => Ok(Kind::Real),
        DatumType::Bool => Ok(Kind::Truth),
        dt if dt.is_integer() || dt == DatumType::TDim => Ok(Kind::Index),
        other => bail!("elements of the type {other:?} are not read"),
    }
}

/// The elements of a constant, and what they are.
pub(super) fn elements(tensor: &Tensor) -> Result<(Kind, ArrayD<f32>)> {
    let kind = kind(tensor.datum_type())?;
    let shape = IxDyn(tensor.shape());
    let data: Vec<f32> = match kind {
        Kind::Real => tensor.cast_to::<f32>()?.to_plain_array_view::<f32>()?.iter().copied().collect(),
        Kind::Truth => tensor.to_plain_array_view::<bool>()?.iter().map(|&t| u8::from(t).into()).collect(),
        Kind::Index => {
            let integers = tensor.cast_to::<i64>()?;
            let integers = integers.to_plain_array_view::<i64>()?;
            let large = integers.iter().find(|i| i.unsigned_abs() > Kind::LARGEST_INDEX as u64);
            ensure!(large.is_none(), "the integer {} has more than 24 bits", large.unwrap_or(&0));
            integers.iter().map(|&i| i as f32).collect()
        }
    };
    Ok((kind, ArrayD::from_shape_vec(shape, data)?))
}

/// The elements of a float tensor.
pub(super) fn floats(tensor: &Tensor) -> Result<ArrayD<f32>> {
    ensure!(tensor.datum_type().is_float(), "only float constants are read, this one is {:?}", tensor.datum_type());
    Ok(elements(tensor)?.1)
}

/// Finds the ONNX node behind a tract node: tract keeps its name and appends suffixes.
struct OnnxNames<'a>(HashMap<&'a str, &'a str>);

impl<'a> OnnxNames<'a> {
    fn new(proto: &'a ModelProto) -> Self {
        let nodes = proto.graph.iter().flat_map(|g| &g.node);
        OnnxNames(nodes.map(|n| (vet::node_name(n), n.op_type.as_str())).collect())
    }

    /// The name and operator of the ONNX node from which `name` is derived.
    fn find<'n>(&self, name: &'n str) -> Option<(&'n str, &'a str)> {
        let ends = name.char_indices().map(|(i, _)| i).chain([name.len()]).rev();
        let whole_word = |end: &usize| !name[*end..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
        ends.filter(whole_word).map(|end| &name[..end]).find_map(|name| Some((name, *self.0.get(name)?)))
    }

    /// Gives the last node that computes something for an ONNX node that node's own name.
    fn rename(&self, graph: &mut Graph) {
        let mut named: HashSet<String> = graph.nodes.iter().map(|n| n.name.clone()).collect();
        for node in graph.nodes.iter_mut().rev() {
            if matches!(node.op, Op::Transpose(_) | Op::Reshape(_)) {
                continue;
            }
            if let Some((name, _)) = self.find(&node.name)
                && named.insert(name.to_string())
            {
                node.name = name.to_string();
            }
        }
    }

    fn entry(&self, model: &TypedModel, node: &TypedNode, advice: String) -> UnsupportedNode {
        let (name, op) = match self.find(&node.name) {
            Some((name, op)) => (name.to_string(), op.to_string()),
            None => (node.name.clone(), node.op().name().to_string()),
        };
        let shapes = node.inputs.iter().filter_map(|&i| model.outlet_fact(i).ok());
        let shapes = shapes.map(|f| format!("[{:?}]", f.shape)).collect();
        UnsupportedNode { name, op, shapes, advice }
    }
}
