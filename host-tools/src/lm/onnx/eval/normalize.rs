//! Normalisations in one node.

use anyhow::Result;
use ndarray::ArrayD;

use super::{Inputs, axis};
use crate::lm::onnx::graph::Node;
use crate::lm::onnx::value::{Value, zip};

pub(super) fn eval(node: &Node, inputs: &Inputs<'_>) -> Result<Option<Vec<Value>>> {
    let (centred, epsilon) = match node.op.as_str() {
        "LayerNormalization" => (true, 1e-5),
        // Of ONNX Runtime, whose ε is another where none is given.
        "SkippedLayerNormalization" => (true, 1e-12),
        "SimplifiedLayerNormalization" | "RMSNormalization" => (false, 1e-5),
        _ => return Ok(None),
    };
    let epsilon = node.float("epsilon", epsilon);
    let x = inputs.get(0)?.f();
    let from = axis(node.int("axis", -1), x.ndim())?;
    let rows: usize = x.shape()[..from].iter().product();
    let shape = x.shape().to_vec();
    let flat = Value::F(x).reshaped(&[rows, shape[from..].iter().product()])?.f();
    let mut flat: ArrayD<f64> = flat.into_owned();
    for mut row in flat.rows_mut() {
        if centred {
            let mean = row.mean().unwrap_or(0.0);
            row -= mean;
        }
        let energy = row.dot(&row) / row.len() as f64 + epsilon;
        row /= energy.sqrt();
    }
    let mut y = Value::F(flat.into()).reshaped(&shape)?.f();
    y = zip(&y, &inputs.get(1)?.f(), |y, gamma| y * gamma)?;
    if let Some(beta) = inputs.optional(2) {
        y = zip(&y, &beta.f(), |y, beta| y + beta)?;
    }
    Ok(Some(vec![Value::F(y)]))
}
