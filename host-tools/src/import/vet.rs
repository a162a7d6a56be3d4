//! What can be said of a model before tract sees it.

use std::collections::HashSet;

use anyhow::{Result, bail};
use tract_onnx::pb::{
    self, GraphProto, ModelProto, NodeProto, TensorShapeProto, attribute_proto::AttributeType, tensor_proto::DataType,
    tensor_shape_proto::dimension::Value as Dim, type_proto,
};

use super::quantized::mark::MARK;
use super::shapes::{self, Shapes};
use super::{Options, Unsupported, UnsupportedNode, opaque};

/// Operators that tract reads right, as far as the ONNX node tests show. Many of them can be converted only in constant
/// subgraphs or in some of their forms: that is for the typed graph to tell.
const READABLE: &[&str] = &[
    "Abs",
    "Acos",
    "Acosh",
    "Add",
    "And",
    "ArgMax",
    "ArgMin",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "CastLike",
    "Ceil",
    "Clip",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "Cos",
    "Cosh",
    "CumSum",
    "DepthToSpace",
    "Div",
    "Dropout",
    "Einsum",
    "Elu",
    "Equal",
    "Erf",
    "Exp",
    "Expand",
    "EyeLike",
    "Flatten",
    "Floor",
    "Gather",
    "GatherElements",
    "GatherND",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Greater",
    "GreaterOrEqual",
    "HardSigmoid",
    "HardSwish",
    "Hardmax",
    "Identity",
    "LeakyRelu",
    "Less",
    "LessOrEqual",
    "Log",
    "LogSoftmax",
    "MatMul",
    "Max",
    "MaxPool",
    "Mean",
    "Min",
    "Mish",
    "Mod",
    "Mul",
    "Neg",
    "Not",
    "OneHot",
    "Or",
    "Pad",
    "Pow",
    "Range",
    "Reciprocal",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
    "Relu",
    "Reshape",
    "Round",
    "ScatterElements",
    "ScatterND",
    "Selu",
    "Shape",
    "Shrink",
    "Sigmoid",
    "Sign",
    "Sin",
    "Sinh",
    "Size",
    "Slice",
    "Softmax",
    "Softplus",
    "Softsign",
    "SpaceToDepth",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Sum",
    "Swish",
    "Tan",
    "Tanh",
    "ThresholdedRelu",
    "Tile",
    "TopK",
    "Transpose",
    "Trilu",
    "Unsqueeze",
    "Where",
    "Xor",
];

/// Oldest operator set whose meaning tract follows.
const OLDEST_OPSET: i64 = 7;

/// The version of the standard operators.
pub(super) fn opset(model: &ModelProto) -> i64 {
    model.opset_import.iter().find(|o| matches!(o.domain.as_str(), "" | "ai.onnx")).map_or(0, |o| o.version)
}

/// Lists every node and input that is refused whatever its context, behind those that are `refused` already, with
/// the reason.
pub(super) fn check(model: &ModelProto, refused: &[(NodeProto, String)]) -> Result<()> {
    let Some(graph) = &model.graph else { bail!("the file holds no graph") };
    let opset = opset(model);
    if opset < OLDEST_OPSET {
        bail!("operator set {opset} is too old: export the model with operator set 13 or later");
    }
    if !graph.sparse_initializer.is_empty() {
        bail!("sparse initializers are not read: export the model with dense weights");
    }
    let mut constants = constants(graph);
    let mut nodes: Vec<_> =
        inputs(graph).filter_map(|input| refuse_input(input).map(|a| input_entry(input, a))).collect();
    let mut refused: Vec<_> = refused.iter().map(|(node, advice)| (node, advice.clone())).collect();
    for node in &graph.node {
        refused.extend(refuse_node(node, opset, &constants).map(|advice| (node, advice)));
        if node.op_type == "Shape" || node.input.iter().all(|i| i.is_empty() || constants.contains(i.as_str())) {
            constants.extend(node.output.iter().map(String::as_str));
        }
    }
    if !refused.is_empty() {
        let shapes = Shapes::new(model, &refused.iter().map(|(node, _)| node_name(node)).collect());
        nodes.extend(refused.into_iter().map(|(node, advice)| UnsupportedNode {
            name: node_name(node).into(),
            op: node.op_type.clone(),
            shapes: node.input.iter().filter(|i| !i.is_empty()).map(|i| shapes.text(i)).collect(),
            advice,
        }));
    }
    if nodes.is_empty() { Ok(()) } else { Err(Unsupported { nodes }.into()) }
}

/// Writes fixed shapes into the graph's inputs.
pub(super) fn fix_input_shapes(graph: &mut GraphProto, options: &Options) -> Result<()> {
    let initialized: HashSet<String> = graph.initializer.iter().map(|i| i.name.clone()).collect();
    let names: Vec<String> = inputs(graph).map(|i| i.name.clone()).collect();
    if let Some((name, _)) = options.input_shapes.iter().find(|(name, _)| !names.contains(name)) {
        bail!("the model has no input {name}: its inputs are {}", names.join(", "));
    }
    let mut nodes = Vec::new();
    for input in graph.input.iter_mut().filter(|i| !initialized.contains(&i.name)) {
        let given = options.input_shapes.iter().find(|(name, _)| *name == input.name).map(|(_, shape)| shape);
        let original = input.clone();
        if let Err(advice) = fix_shape(input, given) {
            nodes.push(input_entry(&original, advice));
        }
    }
    if nodes.is_empty() { Ok(()) } else { Err(Unsupported { nodes }.into()) }
}

fn fix_shape(input: &mut pb::ValueInfoProto, given: Option<&Vec<usize>>) -> Result<(), String> {
    let how = |example: &str| format!("fix the shape with --input {}={example}", input.name);
    let Some(type_proto::Value::TensorType(tensor)) = input.r#type.as_mut().and_then(|t| t.value.as_mut()) else {
        return Err("the input is no tensor".into());
    };
    let dims: Option<Vec<Option<i64>>> = tensor.shape.as_ref().map(|s| s.dim.iter().map(fixed).collect());
    let shape: Vec<i64> = match (given, dims) {
        (Some(given), Some(dims)) if given.len() != dims.len() => {
            return Err(format!("the model's input has {} axes, {} are given", dims.len(), given.len()));
        }
        (Some(given), _) => given.iter().map(|&d| d as i64).collect(),
        (None, None) => return Err(how("1,3,48,192")),
        (None, Some(dims)) => {
            let batch_of_one = dims.iter().enumerate().map(|(i, d)| d.or((i == 0).then_some(1)));
            match batch_of_one.collect::<Option<Vec<i64>>>() {
                Some(shape) => shape,
                None => {
                    let example: Vec<String> = dims.iter().map(|d| d.map_or("?".into(), |d| d.to_string())).collect();
                    return Err(how(&example.join(",")) + " with a number for each ?");
                }
            }
        }
    };
    if shape.contains(&0) {
        return Err("an input without elements has nothing to compute".into());
    }
    let dim = |d: i64| pb::tensor_shape_proto::Dimension { value: Some(Dim::DimValue(d)), ..Default::default() };
    tensor.shape = Some(TensorShapeProto { dim: shape.into_iter().map(dim).collect() });
    Ok(())
}

fn fixed(dim: &pb::tensor_shape_proto::Dimension) -> Option<i64> {
    match dim.value {
        Some(Dim::DimValue(d)) if d >= 0 => Some(d),
        _ => None,
    }
}

/// The graph's inputs that are not initialized.
pub(super) fn inputs(graph: &GraphProto) -> impl Iterator<Item = &pb::ValueInfoProto> {
    let initialized: HashSet<&str> = graph.initializer.iter().map(|i| i.name.as_str()).collect();
    graph.input.iter().filter(move |i| !initialized.contains(i.name.as_str()))
}

/// Whether an input is of uint8.
pub(super) fn is_bytes(input: &pb::ValueInfoProto) -> bool {
    let value = input.r#type.as_ref().and_then(|t| t.value.as_ref());
    matches!(value, Some(type_proto::Value::TensorType(t)) if t.elem_type == DataType::Uint8 as i32)
}

fn input_entry(input: &pb::ValueInfoProto, advice: String) -> UnsupportedNode {
    let shapes = vec![shapes::text(input)];
    UnsupportedNode { name: input.name.clone(), op: "graph input".into(), shapes, advice }
}

fn refuse_input(input: &pb::ValueInfoProto) -> Option<String> {
    let Some(type_proto::Value::TensorType(tensor)) = input.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        return Some("only tensors can be inputs".into());
    };
    match DataType::try_from(tensor.elem_type) {
        Ok(DataType::Float | DataType::Bool) => None,
        Ok(DataType::Int64 | DataType::Int32 | DataType::Int16 | DataType::Int8) => None,
        Ok(DataType::Uint64 | DataType::Uint32 | DataType::Uint16 | DataType::Uint8) => None,
        Ok(DataType::Float16 | DataType::Double | DataType::Bfloat16) => {
            Some("only 32-bit float inputs are read: export the float32 model".into())
        }
        Ok(other) => Some(format!(
            "inputs of the type {} are not read: cut the model behind the operators that read it",
            other.as_str_name().to_lowercase()
        )),
        Err(_) => Some("the element type is unknown".into()),
    }
}

/// Names of tensors whose elements do not depend on the graph's inputs, as far as initializers tell.
fn constants(graph: &GraphProto) -> HashSet<&str> {
    graph.initializer.iter().map(|i| i.name.as_str()).collect()
}

fn refuse_node(node: &NodeProto, opset: i64, constants: &HashSet<&str>) -> Option<String> {
    let op = node.op_type.as_str();
    if op == MARK {
        return None;
    }
    if !matches!(node.domain.as_str(), "" | "ai.onnx") {
        return Some(format!(
            "an operator of the domain {} is no standard ONNX: export the model with standard operators",
            node.domain
        ));
    }
    if !READABLE.contains(&op) && !opaque::knows(op) {
        return Some(advice(op).into());
    }
    let constant = |i: usize| node.input.get(i).is_none_or(|n| n.is_empty() || constants.contains(n.as_str()));
    match op {
        "Conv" if !constant(1) => Some("only constant weights: the kernel is computed from an input".into()),
        "BatchNormalization" if int(node, "training_mode") == Some(1) || (1..5).any(|i| !constant(i)) => {
            Some("only inference with constant statistics: export the model in evaluation mode".into())
        }
        "BatchNormalization" | "Dropout" | "MaxPool" if node.output.iter().skip(1).any(|o| !o.is_empty()) => {
            Some("only the first output can be had: remove the others".into())
        }
        "Dropout" if (opset >= 12 && !constant(2)) || (node.input.len() > 2 && !node.input[2].is_empty()) => {
            Some("dropout in training mode: export the model in evaluation mode".into())
        }
        _ => None,
    }
}

/// What to do about an operator that is not read.
fn advice(op: &str) -> &'static str {
    match op {
        "If" | "Loop" | "Scan" | "SequenceMap" => "control flow is not read: export a traced or unrolled model",
        "NonMaxSuppression" => "cut the model before this node: do it on the result",
        _ => "this operator is not supported",
    }
}

fn int(node: &NodeProto, name: &str) -> Option<i64> {
    node.attribute.iter().find(|a| a.name == name && a.r#type == AttributeType::Int as i32).map(|a| a.i)
}

/// The node's name, or its first output's.
pub(super) fn node_name(node: &NodeProto) -> &str {
    let output = node.output.iter().find(|o| !o.is_empty()).map_or("", String::as_str);
    if node.name.is_empty() { output } else { &node.name }
}
