//! Sums: matrix products and reductions.

use anyhow::{Context, Result, ensure};
use ndarray::{Array2, ArrayD, Axis, Dimension, Ix2, IxDyn};

use super::{Inputs, axis};
use crate::lm::onnx::graph::Node;
use crate::lm::onnx::value::{Array, Value, broadcast, broadcast_shape, zip};

pub(super) fn eval(node: &Node, inputs: &Inputs<'_>) -> Result<Option<Vec<Value>>> {
    let value = match node.op.as_str() {
        "MatMul" => Value::F(matmul(&inputs.get(0)?.f(), &inputs.get(1)?.f())?),
        "FusedMatMul" => {
            let turned = |i: usize, name: &str| -> Result<Array<f64>> {
                let mut x = inputs.get(i)?.f();
                let rank = x.ndim();
                if node.int(name, 0) != 0 && rank >= 2 {
                    x.swap_axes(rank - 1, rank - 2);
                }
                Ok(x)
            };
            let y = matmul(&turned(0, "transA")?, &turned(1, "transB")?)?;
            Value::F(y.mapv(|v| v * node.float("alpha", 1.0)).into())
        }
        "Gemm" => {
            let matrix = |i: usize, name: &str| -> Result<Array2<f64>> {
                let x =
                    inputs.get(i)?.f().into_owned().into_dimensionality::<Ix2>().context("of other than two axes")?;
                Ok(if node.int(name, 0) != 0 { x.reversed_axes() } else { x })
            };
            let y = matrix(0, "transA")?.dot(&matrix(1, "transB")?) * node.float("alpha", 1.0);
            let y: Array<f64> = y.into_dyn().into();
            match inputs.optional(2) {
                Some(c) => {
                    let beta = node.float("beta", 1.0);
                    Value::F(zip(&y, &c.f(), |y, c| y + beta * c)?)
                }
                None => Value::F(y),
            }
        }
        op if op.starts_with("Reduce") => return reduce(node, inputs).map(|v| v.map(|v| vec![v])),
        "DequantizeLinear" => dequantized(node, inputs)?,
        "CumSum" => {
            let mut x = inputs.get(0)?.f().into_owned();
            let along = axis(inputs.get(1)?.scalar()? as i64, x.ndim())?;
            ensure!(node.int("exclusive", 0) == 0 && node.int("reverse", 0) == 0, "exclusive or reverse");
            x.accumulate_axis_inplace(Axis(along), |before, this| *this += before);
            match inputs.get(0)? {
                Value::F(_) => Value::F(x.into()),
                Value::I(_) => Value::I(x.mapv(|v| v as i64).into()),
            }
        }
        "Softmax" => {
            let x = inputs.get(0)?.f();
            let along = axis(node.int("axis", -1), x.ndim())?;
            Value::F(softmax(x.into_owned(), along).into())
        }
        _ => return Ok(None),
    };
    Ok(Some(vec![value]))
}

/// `(q − zero point) · scale`, both of them one number or one for each index of an axis.
fn dequantized(node: &Node, inputs: &Inputs<'_>) -> Result<Value> {
    let (q, scale) = (inputs.get(0)?.f(), inputs.get(1)?.f());
    ensure!(scale.ndim() <= 1, "scales of blocks");
    let along = axis(node.int("axis", 1).min(q.ndim() as i64 - 1), q.ndim())?;
    let spread = |v: &Array<f64>| -> Result<Array<f64>> {
        let mut shape = vec![1; q.ndim()];
        if v.len() > 1 {
            shape[along] = v.len();
        }
        Ok(Value::F(v.clone()).reshaped(&shape)?.f())
    };
    let shifted = match inputs.optional(2) {
        Some(zero) => zip(&q, &spread(&zero.f())?, |q, z| q - z)?,
        None => q.clone(),
    };
    Ok(Value::F(zip(&shifted, &spread(&scale)?, |q, s| q * s)?))
}

/// Softmax along an axis.
pub(super) fn softmax(mut x: ArrayD<f64>, along: usize) -> ArrayD<f64> {
    for mut lane in x.lanes_mut(Axis(along)) {
        let max = lane.fold(f64::NEG_INFINITY, |m, &v| m.max(v));
        lane.mapv_inplace(|v| (v - max).exp());
        let sum = lane.sum();
        lane.mapv_inplace(|v| v / sum);
    }
    x
}

/// As numpy's matmul.
pub(super) fn matmul(a: &Array<f64>, b: &Array<f64>) -> Result<Array<f64>> {
    ensure!(a.ndim() > 0 && b.ndim() > 0, "a matrix product of scalars");
    let (vector_a, vector_b) = (a.ndim() == 1, b.ndim() == 1);
    let a = if vector_a { a.clone().insert_axis(Axis(0)) } else { a.clone() };
    let b = if vector_b { b.clone().insert_axis(Axis(1)) } else { b.clone() };
    let (rank_a, rank_b) = (a.ndim(), b.ndim());
    let (m, k, n) = (a.shape()[rank_a - 2], a.shape()[rank_a - 1], b.shape()[rank_b - 1]);
    ensure!(b.shape()[rank_b - 2] == k, "shapes {:?} and {:?} do not fit", a.shape(), b.shape());
    let batch = broadcast_shape(&a.shape()[..rank_a - 2], &b.shape()[..rank_b - 2])?;
    let whole = |tail: [usize; 2]| [batch.as_slice(), &tail].concat();
    let mut y = ArrayD::<f64>::zeros(IxDyn(&whole([m, n])));
    let (a_shape, b_shape) = (whole([m, k]), whole([k, n]));
    let (a, b) = (broadcast(&a, &a_shape)?, broadcast(&b, &b_shape)?);
    for at in ndarray::indices(IxDyn(&batch)) {
        let (mut a, mut b, mut y) = (a.view(), b.view(), y.view_mut());
        for &index in at.as_array_view().iter() {
            a.index_axis_inplace(Axis(0), index);
            b.index_axis_inplace(Axis(0), index);
            y.index_axis_inplace(Axis(0), index);
        }
        let product = a.into_dimensionality::<Ix2>()?.dot(&b.into_dimensionality::<Ix2>()?);
        y.assign(&product.into_dyn());
    }
    if vector_a {
        let rank = y.ndim();
        y.index_axis_inplace(Axis(rank - 2), 0);
    }
    if vector_b {
        let rank = y.ndim();
        y.index_axis_inplace(Axis(rank - 1), 0);
    }
    Ok(y.into())
}

/// A reduction: what is done to each number, with what the fold begins, the fold, and what is done to its result.
struct Reduction {
    before: fn(f64) -> f64,
    start: f64,
    fold: fn(f64, f64) -> f64,
    after: fn(f64) -> f64,
}

impl Reduction {
    fn of(op: &str) -> Option<Self> {
        let plain = |start, fold: fn(f64, f64) -> f64| Self { before: |v| v, start, fold, after: |v| v };
        Some(match op {
            "ReduceSum" | "ReduceMean" => plain(0.0, |a, b| a + b),
            "ReduceMax" => plain(f64::NEG_INFINITY, f64::max),
            "ReduceMin" => plain(f64::INFINITY, f64::min),
            "ReduceProd" => plain(1.0, |a, b| a * b),
            "ReduceSumSquare" => Self { before: |v| v * v, ..plain(0.0, |a, b| a + b) },
            "ReduceL2" => Self { before: |v| v * v, after: f64::sqrt, ..plain(0.0, |a, b| a + b) },
            _ => return None,
        })
    }
}

/// Reductions over axes that an attribute or the second input names; without any, over all.
fn reduce(node: &Node, inputs: &Inputs<'_>) -> Result<Option<Value>> {
    let source = inputs.get(0)?;
    let mut x = source.f().into_owned();
    let rank = x.ndim();
    let axes = node.ints("axes").or_else(|| inputs.optional(1).map(Value::list)).unwrap_or_default();
    if axes.is_empty() && node.int("noop_with_empty_axes", 0) != 0 {
        return Ok(Some(source.clone()));
    }
    let mut axes = axes.into_iter().map(|a| axis(a, rank)).collect::<Result<Vec<_>>>()?;
    if axes.is_empty() {
        axes = (0..rank).collect();
    }
    let Some(Reduction { before, start, fold, after }) = Reduction::of(&node.op) else { return Ok(None) };
    let count: usize = axes.iter().map(|&a| x.shape()[a]).product();
    x.mapv_inplace(before);
    for &along in &axes {
        x = x.fold_axis(Axis(along), start, |a, b| fold(*a, *b)).insert_axis(Axis(along));
    }
    x.mapv_inplace(after);
    if node.op == "ReduceMean" {
        x.mapv_inplace(|v| v / count as f64);
    }
    if node.int("keepdims", 1) == 0 {
        axes.sort_unstable();
        for &along in axes.iter().rev() {
            x.index_axis_inplace(Axis(along), 0);
        }
    }
    Ok(Some(if source.is_float() { Value::F(x.into()) } else { Value::I(x.mapv(|v| v as i64).into()) }))
}
