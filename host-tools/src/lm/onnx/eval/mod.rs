//! The operators that language models are exported with, in f64. Not all of ONNX: what is missing is an error that names the
//! node.

mod attention;
mod elementwise;
mod linear;
mod movement;
mod normalize;

use anyhow::{Context, Result, bail};

use super::graph::Node;
use super::value::Value;

/// Inputs of a node; `None`: left out.
pub(super) struct Inputs<'a>(&'a [Option<&'a Value>]);

impl<'a> Inputs<'a> {
    fn get(&self, index: usize) -> Result<&'a Value> {
        self.optional(index).with_context(|| format!("input {index} is missing"))
    }

    fn optional(&self, index: usize) -> Option<&'a Value> {
        self.0.get(index).copied().flatten()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// The outputs of a node.
///
/// # Errors
/// If it has an operator that is not known here, or its inputs do not fit; with its name.
pub(super) fn node(node: &Node, inputs: &[Option<&Value>]) -> Result<Vec<Value>> {
    let inputs = Inputs(inputs);
    let families = [elementwise::eval, movement::eval, linear::eval, normalize::eval, attention::eval];
    for family in families {
        if let Some(values) = family(node, &inputs).with_context(|| node.title())? {
            return Ok(values);
        }
    }
    bail!("{}: this operator is not among those that language models are recognised with", node.title())
}

/// An axis counted from the end where negative.
fn axis(axis: i64, rank: usize) -> Result<usize> {
    let index = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(index).ok().filter(|&i| i <= rank).with_context(|| format!("no axis {axis} in {rank} axes"))
}
