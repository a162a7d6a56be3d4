//! Rewrites of nodes that hold several things at once: an addition within a normalisation, and the two bodies of a decoder
//! with and without a cache.

use anyhow::{Context, Result};
use tract_onnx::pb::GraphProto;

use super::graph::{Node, made};

/// Puts the branch without a cache in place of an If on the input `use_cache_branch`, as merged decoders have it, and drops
/// the input.
pub(super) fn inline_branches(graph: &mut GraphProto) -> Result<()> {
    const SWITCH: &str = "use_cache_branch";
    if !graph.input.iter().any(|i| i.name == SWITCH) {
        return Ok(());
    }
    let mut nodes = Vec::new();
    for node in std::mem::take(&mut graph.node) {
        if node.op_type != "If" || node.input.first().is_none_or(|i| i != SWITCH) {
            nodes.push(node);
            continue;
        }
        let branch = node.attribute.iter().find(|a| a.name == "else_branch").and_then(|a| a.g.clone());
        let branch = branch.with_context(|| format!("node {} (If) has no else_branch", node.name))?;
        graph.initializer.extend(branch.initializer);
        nodes.extend(branch.node);
        for (inner, outer) in branch.output.iter().zip(&node.output) {
            nodes.push(tract_onnx::pb::NodeProto {
                name: format!("{}.{outer}", node.name),
                op_type: "Identity".into(),
                input: vec![inner.name.clone()],
                output: vec![outer.clone()],
                ..Default::default()
            });
        }
    }
    graph.node = nodes;
    graph.input.retain(|i| i.name != SWITCH);
    Ok(())
}

/// Nodes with an addition before a normalisation, or a bias before a function, become two.
pub(super) fn lowered(nodes: Vec<Node>) -> Result<Vec<Node>> {
    let mut all = Vec::with_capacity(nodes.len());
    for node in nodes {
        match node.op.as_str() {
            "SkipSimplifiedLayerNormalization" | "SkipLayerNormalization" => skip_norm(node, &mut all),
            "BiasGelu" => {
                let sum = format!("{}.sum", node.name);
                all.push(made(format!("{}.bias", node.name), "Add", node.inputs.clone(), vec![sum.clone()], None));
                all.push(made(node.name, "Gelu", vec![sum], node.outputs, None));
            }
            "FastGelu" if node.inputs.len() > 1 && !node.inputs[1].is_empty() => {
                let sum = format!("{}.sum", node.name);
                all.push(made(format!("{}.bias", node.name), "Add", node.inputs.clone(), vec![sum.clone()], None));
                all.push(made(node.name, "FastGelu", vec![sum], node.outputs, None));
            }
            _ => all.push(node),
        }
    }
    Ok(all)
}

/// Inputs: x, skip, γ, then (of a LayerNorm β, and) a bias; outputs: y, mean, 1/σ, the sum.
fn skip_norm(node: Node, all: &mut Vec<Node>) {
    let simplified = node.op == "SkipSimplifiedLayerNormalization";
    let input = |i: usize| node.inputs.get(i).cloned().unwrap_or_default();
    let output = |i: usize| node.outputs.get(i).cloned().unwrap_or_default();
    let sum = match output(3) {
        name if name.is_empty() => format!("{}.sum", node.name),
        name => name,
    };
    let (beta, bias) = if simplified { (String::new(), input(3)) } else { (input(3), input(4)) };
    let skipped = if bias.is_empty() {
        input(0)
    } else {
        let biased = format!("{}.biased", node.name);
        all.push(made(format!("{}.bias", node.name), "Add", vec![input(0), bias], vec![biased.clone()], None));
        biased
    };
    all.push(made(format!("{}.skip", node.name), "Add", vec![skipped, input(1)], vec![sum.clone()], None));
    let (op, inputs) = match simplified {
        true => ("SimplifiedLayerNormalization", vec![sum, input(2)]),
        false => ("SkippedLayerNormalization", vec![sum, input(2), beta]),
    };
    all.push(made(node.name.clone(), op, inputs, vec![output(0)], Some(&node)));
}
