//! Shapes of an ONNX graph's tensors as text, for messages about nodes that cannot be converted.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{self, GraphProto, ModelProto, tensor_shape_proto::dimension::Value as Dim, type_proto};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;

use super::vet;

/// Shapes by tensor name; a dimension that nobody knows is `?`.
pub(super) struct Shapes(HashMap<String, String>);

impl Shapes {
    /// What the model declares, and, where it says nothing, what tract infers; nodes whose names are in `refused` are
    /// boxes of which nothing is known to it.
    pub(super) fn new(model: &ModelProto, refused: &HashSet<&str>) -> Self {
        let mut shapes = inferred(model, refused).unwrap_or_default();
        if let Some(graph) = &model.graph {
            shapes.extend(declared(graph));
        }
        Shapes(shapes)
    }

    /// The shape of tensor `name`: `[1,3,?]`, or `?`.
    pub(super) fn text(&self, name: &str) -> String {
        self.0.get(name).cloned().unwrap_or_else(|| "?".into())
    }
}

fn declared(graph: &GraphProto) -> impl Iterator<Item = (String, String)> + '_ {
    let infos = graph.input.iter().chain(&graph.value_info).chain(&graph.output);
    let infos = infos.map(|info| (info.name.clone(), text(info))).filter(|(_, shape)| shape != "?");
    let initializer = |i: &pb::TensorProto| (i.name.clone(), join(i.dims.iter().map(ToString::to_string)));
    infos.chain(graph.initializer.iter().map(initializer))
}

/// Shape inference as far as it goes: a model that is refused may be wrong in any way, so that nothing here is an error.
fn inferred(model: &ModelProto, refused: &HashSet<&str>) -> Option<HashMap<String, String>> {
    let mut model = model.clone();
    let graph = model.graph.as_mut()?;
    graph.value_info.clear();
    for node in graph.node.iter_mut().filter(|n| refused.contains(vet::node_name(n))) {
        node.op_type = format!("{} (refused)", node.op_type);
        node.attribute.clear();
    }
    super::quietly(|| {
        let mut parsed = super::reader().parse(&model, None)?;
        parsed.model.analyse(true).ok();
        let fact = |outlet: &OutletId| parsed.model.outlet_fact(*outlet).ok();
        let text = |fact: &InferenceFact| {
            join(fact.shape.dims().map(|d| d.concretize().map_or("?".into(), |d| d.to_string())))
        };
        let known = |fact: &&InferenceFact| !fact.shape.is_open();
        let outlets = parsed.outlets_by_name.iter();
        Ok(outlets.filter_map(|(name, o)| Some((name.clone(), text(fact(o).filter(known)?)))).collect())
    })
    .ok()
}

/// The declared shape of a graph input, output or inner tensor.
pub(super) fn text(info: &pb::ValueInfoProto) -> String {
    match info.r#type.as_ref().and_then(|t| t.value.as_ref()) {
        Some(type_proto::Value::TensorType(pb::type_proto::Tensor { shape: Some(shape), .. })) => {
            join(shape.dim.iter().map(|d| match &d.value {
                Some(Dim::DimValue(d)) => d.to_string(),
                Some(Dim::DimParam(name)) if !name.is_empty() => name.clone(),
                _ => "?".into(),
            }))
        }
        _ => "?".into(),
    }
}

fn join(dims: impl Iterator<Item = String>) -> String {
    format!("[{}]", dims.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(op: &str, input: &str, output: &str) -> pb::NodeProto {
        pb::NodeProto {
            op_type: op.into(),
            name: format!("/{op}"),
            input: vec![input.into()],
            output: vec![output.into()],
            ..Default::default()
        }
    }

    #[test]
    fn shapes_are_inferred_up_to_the_refused_node_and_unknown_behind_it() {
        let dim = |d: i64| pb::tensor_shape_proto::Dimension { value: Some(Dim::DimValue(d)), ..Default::default() };
        let tensor = pb::type_proto::Tensor {
            elem_type: pb::tensor_proto::DataType::Float as i32,
            shape: Some(pb::TensorShapeProto { dim: vec![dim(2), dim(3)] }),
        };
        let r#type = pb::TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
        let x = pb::ValueInfoProto { name: "x".into(), r#type: Some(r#type), ..Default::default() };
        let y = pb::ValueInfoProto { name: "z".into(), ..Default::default() };
        let nodes = vec![node("Relu", "x", "a"), node("NonZero", "a", "b"), node("Relu", "b", "z")];
        let graph = GraphProto { node: nodes, input: vec![x], output: vec![y], ..Default::default() };
        let model = ModelProto { graph: Some(graph), ..Default::default() };
        let shapes = Shapes::new(&model, &HashSet::from(["/NonZero"]));
        assert_eq!(["x", "a", "b"].map(|name| shapes.text(name)), ["[2,3]", "[2,3]", "?"]);
    }
}
