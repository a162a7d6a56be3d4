//! Quantized ONNX graphs as float graphs, before tract sees them.
//!
//! tract gets some quantized nodes wrong and does not know others, so none reaches it: QuantizeLinear and
//! DequantizeLinear become [marks](mark), every operator on integers becomes the operator on real numbers between
//! marks, and an integer tensor of the model is in the rewritten graph the tensor of the real numbers for which its
//! integers stand. Shapes are inferred and constants folded in that graph; the marks carry scales and zero points to
//! the IR, where they become [pins](crate::ir::Value::pin) and [integers](crate::ir::Integers).

mod constants;
mod dynamic;
pub(super) mod mark;
mod movement;
mod qlinear;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use tract_onnx::data_resolver::MmapDataResolver;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, attribute_proto::AttributeType,
    tensor_proto::DataType, type_proto,
};
use tract_onnx::prelude::{DatumType, Tensor};
use tract_onnx::tensor::load_tensor;

use super::vet;
use super::vet::node_name;
use mark::{Grid, Mark, Stored};

/// Operators on integers, and those that make or read them.
fn is_quantized(op: &str) -> bool {
    matches!(
        op,
        "QuantizeLinear"
            | "DequantizeLinear"
            | "DynamicQuantizeLinear"
            | "MatMulInteger"
            | "ConvInteger"
            | "QGemm"
            | "MatMulIntegerToFloat"
            | "DynamicQuantizeMatMul"
    ) || op.starts_with("QLinear")
}

/// Rewrites the graph of `model`, if it has quantized nodes; returns its marks, and the nodes that have no
/// float form, with the reason.
/// `dir` is where the files of external weights lie.
pub(super) fn rewrite(model: &mut ModelProto, dir: Option<&Path>) -> (Vec<Mark>, Vec<(NodeProto, String)>) {
    let opset = vet::opset(model);
    let Some(graph) = model.graph.as_mut() else { return Default::default() };
    if !graph.node.iter().any(|n| is_quantized(&n.op_type)) {
        return Default::default();
    }
    constants::widen(graph);
    let dir = dir.and_then(Path::to_str).map(str::to_string);
    let mut rewriter = Rewriter::new(graph, opset, dir);
    let mut refused = Vec::new();
    for node in std::mem::take(&mut graph.node) {
        if let Err(error) = rewriter.node(&node) {
            refused.push((node.clone(), format!("{error:#}")));
            // What reads its results is not to be blamed.
            rewriter.flows.extend(node.output.iter().map(|o| (o.clone(), Flow::Refused)));
        }
    }
    for output in &mut graph.output {
        match rewriter.flows.get(&output.name) {
            Some(Flow::Known(_) | Flow::Input(_)) => set_float(output),
            Some(Flow::Sum | Flow::Dynamic { .. }) => {
                let output = NodeProto {
                    name: output.name.clone(),
                    op_type: "graph output".into(),
                    input: vec![output.name.clone()],
                    ..Default::default()
                };
                let advice =
                    "sums of integers and dynamically quantized tensors cannot leave the model: scale them first";
                refused.push((output, advice.into()));
            }
            Some(Flow::Refused) | None => {}
        }
    }
    for input in graph.input.iter_mut().filter(|i| rewriter.flows.contains_key(&i.name)) {
        set_float(input);
    }
    graph.node = rewriter.nodes;
    graph.initializer.extend(rewriter.initializers);
    (rewriter.marks, refused)
}

/// What an integer tensor of the model is.
#[derive(Debug, Clone, PartialEq)]
enum Flow {
    /// Real numbers on this grid.
    Known(Grid),
    /// A graph input of this type, whose grid only its readers know.
    Input(Stored),
    /// The result of DynamicQuantizeLinear: the real numbers as they are, for scale 1 and zero point 0.
    Dynamic { scale: String, zero_point: String },
    /// Sums of products of integers: 32 bits, scale 1.
    Sum,
    /// The result of a node that is refused.
    Refused,
}

struct Rewriter {
    opset: i64,
    dir: Option<String>,
    constants: HashMap<String, TensorProto>,
    readers: HashMap<String, Vec<String>>,
    outputs: HashSet<String>,
    flows: HashMap<String, Flow>,
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
    marks: Vec<Mark>,
}

impl Rewriter {
    fn new(graph: &GraphProto, opset: i64, dir: Option<String>) -> Self {
        let mut constants: HashMap<String, TensorProto> =
            graph.initializer.iter().map(|i| (i.name.clone(), i.clone())).collect();
        let mut readers: HashMap<String, Vec<String>> = HashMap::new();
        for node in &graph.node {
            for input in &node.input {
                readers.entry(input.clone()).or_default().push(node.op_type.clone());
            }
            let value = match node.op_type.as_str() {
                "Constant" => constant_node(node),
                "Identity" => node.input.first().and_then(|i| constants.get(i)).cloned(),
                _ => None,
            };
            if let (Some(value), Some(output)) = (value, node.output.first()) {
                constants.insert(output.clone(), value);
            }
        }
        let stored = |input: &ValueInfoProto| match DataType::try_from(elem_type(input)?).ok()? {
            DataType::Int8 => Some(Flow::Input(Stored::I8)),
            DataType::Uint8 => Some(Flow::Input(Stored::U8)),
            DataType::Int16 => Some(Flow::Input(Stored::I16)),
            DataType::Uint16 => Some(Flow::Input(Stored::U16)),
            _ => None,
        };
        let inputs = graph.input.iter().filter(|i| !constants.contains_key(&i.name));
        let flows = inputs.filter_map(|i| Some((i.name.clone(), stored(i)?))).collect();
        Self {
            opset,
            dir,
            constants,
            readers,
            outputs: graph.output.iter().map(|o| o.name.clone()).collect(),
            flows,
            nodes: Vec::new(),
            initializers: Vec::new(),
            marks: Vec::new(),
        }
    }

    fn node(&mut self, node: &NodeProto) -> Result<()> {
        if node.input.iter().any(|i| self.flows.get(i) == Some(&Flow::Refused)) {
            self.flows.extend(node.output.iter().map(|o| (o.clone(), Flow::Refused)));
            return Ok(());
        }
        match node.op_type.as_str() {
            "QuantizeLinear" => self.quantize_linear(node),
            "DequantizeLinear" => self.dequantize_linear(node),
            "DynamicQuantizeLinear"
            | "MatMulInteger"
            | "ConvInteger"
            | "MatMulIntegerToFloat"
            | "DynamicQuantizeMatMul" => self.dynamic(node),
            op if op == "QGemm" || op.starts_with("QLinear") => self.qlinear(node),
            _ if node.input.iter().any(|i| self.flows.contains_key(i)) => self.movement(node),
            _ => {
                self.nodes.push(node.clone());
                Ok(())
            }
        }
    }

    fn quantize_linear(&mut self, node: &NodeProto) -> Result<()> {
        ensure!(int(node, "block_size", 0) == 0, "quantization in blocks is not supported");
        let axis = int(node, "axis", 1);
        let given = match DataType::try_from(int(node, "output_dtype", 0) as i32) {
            Ok(DataType::Undefined) | Err(_) => None,
            Ok(other) => Some(stored(other)?),
        };
        let grid = self.grid(input(node, 1)?, optional(node, 2), axis, given.unwrap_or(Stored::U8))?;
        let x = input(node, 0)?;
        ensure!(!self.flows.contains_key(x), "an integer tensor is quantized once more");
        if !self.constants.contains_key(x) {
            grid.params()?;
        }
        self.mark(node_name(node), x, output(node), Mark::Quantize(grid.clone()));
        self.flows.insert(output(node).to_string(), Flow::Known(grid));
        Ok(())
    }

    fn dequantize_linear(&mut self, node: &NodeProto) -> Result<()> {
        if let size @ 1.. = int(node, "block_size", 0) {
            return self.dequantize_blocks(node, usize::try_from(size)?);
        }
        let (q, scale, zero_point) = (input(node, 0)?, input(node, 1)?, optional(node, 2));
        match self.flows.get(q).cloned() {
            Some(Flow::Dynamic { scale: s, zero_point: z }) => {
                ensure!(s == scale && Some(z.as_str()) == zero_point, "dequantized with another scale than quantized");
                self.copy(node, q);
            }
            Some(Flow::Sum) => {
                let no_zero_point = match zero_point {
                    Some(z) => self.tensor(z)?.is_zero()?,
                    None => true,
                };
                ensure!(no_zero_point, "sums of integers with a zero point are not supported");
                self.emit(node, "Mul", &[q, scale], output(node), &[]);
            }
            _ => {
                let real = self.real(node_name(node), q, scale, zero_point, int(node, "axis", 1))?;
                self.copy(node, &real);
            }
        }
        Ok(())
    }

    /// The tensor of the real numbers for which the integer tensor `q` stands: itself if it is computed; the result of
    /// a mark if it is a constant or a graph input.
    fn real(&mut self, name: &str, q: &str, scale: &str, zero_point: Option<&str>, axis: i64) -> Result<String> {
        let flow = self.flows.get(q).cloned();
        let stored = match (&flow, self.constants.get(q)) {
            (Some(Flow::Known(grid)), _) => grid.stored,
            (Some(Flow::Input(stored)), _) => *stored,
            (None, Some(constant)) => stored(DataType::try_from(constant.data_type)?)?,
            (None, None) => Stored::I8, // a constant that tract folds; its own type counts
            _ => bail!("reads sums of integers, or a dynamically quantized tensor: scale them first"),
        };
        let grid = self.grid(scale, zero_point, axis, stored)?;
        let mark = match flow {
            Some(Flow::Known(known)) => {
                let same = (&known.scale, &known.zero_point) == (&grid.scale, &grid.zero_point);
                ensure!(same, "{q} is read with another scale or zero point than it was written with");
                return Ok(q.to_string());
            }
            Some(_) => Mark::Quantize(Grid { stored, ..grid }),
            None => Mark::Dequantize(grid),
        };
        let real = format!("{q}/real{}", self.marks.len());
        self.mark(&format!("{name}/{real}"), q, &real, mark);
        Ok(real)
    }

    /// Scale and zero point out of constants.
    fn grid(&self, scale: &str, zero_point: Option<&str>, axis: i64, stored_by_default: Stored) -> Result<Grid> {
        let scale = self.tensor(scale)?.cast_to::<f32>()?.into_owned();
        let mut scale: Vec<f32> = scale.to_plain_array_view::<f32>()?.iter().copied().collect();
        ensure!(scale.iter().all(|s| s.is_finite() && *s > 0.0), "a scale is not a positive number");
        let (mut zero_point, stored) = match zero_point {
            Some(name) => {
                let tensor = self.tensor(name)?;
                let stored = match tensor.datum_type() {
                    DatumType::I8 => Stored::I8,
                    DatumType::U8 => Stored::U8,
                    DatumType::I16 => Stored::I16,
                    DatumType::U16 => Stored::U16,
                    DatumType::I32 => Stored::I32,
                    other => bail!("the type {other:?} is not read: quantize to int8 or uint8"),
                };
                let values = tensor.cast_to::<i32>()?.into_owned();
                (values.to_plain_array_view::<i32>()?.iter().copied().collect(), stored)
            }
            None => (vec![0], stored_by_default),
        };
        fn reduce<T: PartialEq>(values: &mut Vec<T>) {
            if values.windows(2).all(|w| w[0] == w[1]) {
                values.truncate(1);
            }
        }
        reduce(&mut scale);
        reduce(&mut zero_point);
        Ok(Grid { scale, zero_point, axis, stored })
    }

    /// The elements of a constant.
    fn tensor(&self, name: &str) -> Result<Tensor> {
        let proto = self.constants.get(name).with_context(|| format!("{name} must be a constant"))?;
        load_tensor(&MmapDataResolver, proto, self.dir.as_deref())
    }

    fn mark(&mut self, name: &str, from: &str, to: &str, mark: Mark) {
        self.nodes.push(mark::node(name.to_string(), from, to.to_string(), self.marks.len()));
        self.marks.push(mark);
    }

    /// Stands for `node` as a node that does nothing.
    fn copy(&mut self, node: &NodeProto, from: &str) {
        self.emit(node, "Identity", &[from], output(node), &[]);
    }

    /// Stands for `node` as the float operator `op` with those of its attributes that are named.
    fn emit(&mut self, node: &NodeProto, op: &str, inputs: &[&str], output: &str, attributes: &[&str]) {
        let attribute = node.attribute.iter().filter(|a| attributes.contains(&a.name.as_str()));
        let name = if output == self::output(node) { node_name(node) } else { output };
        self.nodes.push(NodeProto {
            name: name.to_string(),
            op_type: op.into(),
            input: inputs.iter().map(|i| i.to_string()).collect(),
            output: vec![output.to_string()],
            attribute: attribute.cloned().collect(),
            ..Default::default()
        });
    }

    /// Adds a constant of float32.
    fn floats(&mut self, name: String, dims: &[i64], data: Vec<f32>) -> String {
        let tensor = TensorProto {
            name: name.clone(),
            dims: dims.to_vec(),
            data_type: DataType::Float as i32,
            float_data: data,
            ..Default::default()
        };
        self.constants.insert(name.clone(), tensor.clone());
        self.initializers.push(tensor);
        name
    }
}

fn stored(data_type: DataType) -> Result<Stored> {
    Ok(match data_type {
        DataType::Int8 => Stored::I8,
        DataType::Uint8 => Stored::U8,
        DataType::Int16 => Stored::I16,
        DataType::Uint16 => Stored::U16,
        DataType::Int32 => Stored::I32,
        other => bail!("the type {} is not read: quantize to int8 or uint8", other.as_str_name().to_lowercase()),
    })
}

/// The tensor of a Constant node.
fn constant_node(node: &NodeProto) -> Option<TensorProto> {
    node.attribute.iter().find_map(|a| match a.name.as_str() {
        "value" => a.t.clone(),
        "value_float" => {
            Some(TensorProto { data_type: DataType::Float as i32, float_data: vec![a.f], ..Default::default() })
        }
        "value_floats" => Some(TensorProto {
            data_type: DataType::Float as i32,
            dims: vec![a.floats.len() as i64],
            float_data: a.floats.clone(),
            ..Default::default()
        }),
        _ => None,
    })
}

fn elem_type(info: &ValueInfoProto) -> Option<i32> {
    match info.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(tensor) => Some(tensor.elem_type),
    }
}

fn set_float(info: &mut ValueInfoProto) {
    if let Some(type_proto::Value::TensorType(tensor)) = info.r#type.as_mut().and_then(|t| t.value.as_mut()) {
        tensor.elem_type = DataType::Float as i32;
    }
}

/// Operand `slot`.
fn input(node: &NodeProto, slot: usize) -> Result<&str> {
    optional(node, slot).with_context(|| format!("operand {slot} is missing"))
}

/// Operand `slot`, if it is given.
fn optional(node: &NodeProto, slot: usize) -> Option<&str> {
    node.input.get(slot).map(String::as_str).filter(|name| !name.is_empty())
}

/// The first result.
fn output(node: &NodeProto) -> &str {
    node.output.first().map_or("", String::as_str)
}

fn attribute<'n>(node: &'n NodeProto, name: &str) -> Option<&'n AttributeProto> {
    node.attribute.iter().find(|a| a.name == name)
}

fn int(node: &NodeProto, name: &str, default: i64) -> i64 {
    attribute(node, name).map_or(default, |a| a.i)
}

fn int_attribute(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i, ..Default::default() }
}
