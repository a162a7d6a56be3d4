//! The error that lists everything in a model that cannot be converted.

use std::fmt;

/// A node that cannot be converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsupportedNode {
    /// The ONNX node name, or its first output's.
    pub name: String,
    /// The ONNX operator.
    pub op: String,
    /// Operand shapes, as far as they are known.
    pub shapes: Vec<String>,
    /// Why not, and what to do.
    pub advice: String,
}

/// All nodes of a model that cannot be converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// The nodes in the order of the model.
    pub nodes: Vec<UnsupportedNode>,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.nodes.len() == 1 { "node" } else { "nodes" };
        write!(f, "{} {plural} of the model cannot be converted:", self.nodes.len())?;
        for node in &self.nodes {
            write!(f, "\n  {} ({})", node.name, node.op)?;
            if !node.shapes.is_empty() {
                write!(f, " on {}", node.shapes.join(", "))?;
            }
            write!(f, ": {}", node.advice)?;
        }
        Ok(())
    }
}

impl std::error::Error for Unsupported {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_has_its_line() {
        let node = |name: &str| UnsupportedNode {
            name: name.into(),
            op: "Loop".into(),
            shapes: vec!["1,3".into(), "?".into()],
            advice: "unroll it".into(),
        };
        let text = Unsupported { nodes: vec![node("a"), node("b")] }.to_string();
        assert_eq!(
            text,
            "2 nodes of the model cannot be converted:\n  a (Loop) on 1,3, ?: unroll it\n  b (Loop) on 1,3, ?: unroll it"
        );
    }
}
