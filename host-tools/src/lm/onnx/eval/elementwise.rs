//! Operators of single elements, and comparisons.

use anyhow::{Result, bail};
use ndarray::Zip;

use super::Inputs;
use crate::lm::onnx::graph::Node;
use crate::lm::onnx::value::{Array, Value, broadcast, broadcast_shape, zip};

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + libm::erf(x / std::f64::consts::SQRT_2))
}

fn gelu_tanh(x: f64) -> f64 {
    0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh())
}

fn unary(node: &Node) -> Option<Box<dyn Fn(f64) -> f64>> {
    let alpha = node.float("alpha", 1.702);
    Some(match node.op.as_str() {
        "Sqrt" => Box::new(f64::sqrt),
        "Reciprocal" => Box::new(f64::recip),
        "Exp" => Box::new(f64::exp),
        "Log" => Box::new(f64::ln),
        "Erf" => Box::new(libm::erf),
        "Tanh" => Box::new(f64::tanh),
        "Sigmoid" => Box::new(sigmoid),
        "Cos" => Box::new(f64::cos),
        "Sin" => Box::new(f64::sin),
        "Floor" => Box::new(f64::floor),
        "Ceil" => Box::new(f64::ceil),
        "Softplus" => Box::new(|x| x.exp().ln_1p()),
        "Gelu" if node.text("approximate").as_deref() == Some("tanh") => Box::new(gelu_tanh),
        "Gelu" => Box::new(gelu),
        "FastGelu" => Box::new(gelu_tanh),
        "Elu" => {
            let alpha = node.float("alpha", 1.0);
            Box::new(move |x| if x < 0.0 { alpha * x.exp_m1() } else { x })
        }
        "LeakyRelu" => {
            let alpha = node.float("alpha", 0.01);
            Box::new(move |x| if x < 0.0 { alpha * x } else { x })
        }
        "QuickGelu" => Box::new(move |x| x * sigmoid(alpha * x)),
        "Silu" => Box::new(|x| x * sigmoid(x)),
        "Swish" => {
            let alpha = node.float("alpha", 1.0);
            Box::new(move |x| x * sigmoid(alpha * x))
        }
        _ => return None,
    })
}

fn both(node: &Node, a: &Value, b: &Value) -> Result<Option<Value>> {
    let truth = |array: Array<i64>| Some(Value::I(array));
    if let (Value::I(a), Value::I(b)) = (a, b) {
        let f = |f: fn(&i64, &i64) -> i64| Ok(truth(zip(a, b, f)?));
        return match node.op.as_str() {
            "Add" => f(|a, b| a.wrapping_add(*b)),
            "Sub" => f(|a, b| a.wrapping_sub(*b)),
            "Mul" => f(|a, b| a.wrapping_mul(*b)),
            "Div" => f(|a, b| a.checked_div(*b).unwrap_or(0)),
            "Mod" if node.int("fmod", 0) == 0 => f(|a, b| if *b == 0 { 0 } else { a.rem_euclid(*b) }),
            "Pow" => f(|a, b| u32::try_from(*b).map_or(0, |b| a.wrapping_pow(b))),
            "Max" => f(|a, b| *a.max(b)),
            "Min" => f(|a, b| *a.min(b)),
            "Equal" => f(|a, b| (a == b).into()),
            "Less" => f(|a, b| (a < b).into()),
            "LessOrEqual" => f(|a, b| (a <= b).into()),
            "Greater" => f(|a, b| (a > b).into()),
            "GreaterOrEqual" => f(|a, b| (a >= b).into()),
            "And" => f(|a, b| (*a != 0 && *b != 0).into()),
            "Or" => f(|a, b| (*a != 0 || *b != 0).into()),
            "Xor" => f(|a, b| ((*a != 0) != (*b != 0)).into()),
            _ => Ok(None),
        };
    }
    let (a, b) = (a.f(), b.f());
    let f = |f: fn(&f64, &f64) -> f64| Ok(Some(Value::F(zip(&a, &b, f)?)));
    let t = |f: fn(&f64, &f64) -> bool| Ok(truth(zip(&a, &b, |a, b| f(a, b).into())?));
    match node.op.as_str() {
        "Add" | "Sum" => f(|a, b| a + b),
        "Sub" => f(|a, b| a - b),
        "Mul" => f(|a, b| a * b),
        "Div" => f(|a, b| a / b),
        "Pow" => f(|a, b| if b.fract() == 0.0 { a.powi(*b as i32) } else { a.powf(*b) }),
        "Max" => f(|a, b| a.max(*b)),
        "Min" => f(|a, b| a.min(*b)),
        "PRelu" => f(|a, b| if *a < 0.0 { a * b } else { *a }),
        "Equal" => t(|a, b| a == b),
        "Less" => t(|a, b| a < b),
        "LessOrEqual" => t(|a, b| a <= b),
        "Greater" => t(|a, b| a > b),
        "GreaterOrEqual" => t(|a, b| a >= b),
        _ => Ok(None),
    }
}

pub(super) fn eval(node: &Node, inputs: &Inputs<'_>) -> Result<Option<Vec<Value>>> {
    if let Some(f) = unary(node) {
        return Ok(Some(vec![Value::F(inputs.get(0)?.f().mapv(f).into())]));
    }
    let value = match node.op.as_str() {
        "Identity" | "Dropout" | "Neg" | "Abs" | "Relu" | "Sign" | "Not" | "IsNaN" | "IsInf" | "Cast" | "CastLike"
        | "Clip" => simple(node, inputs)?,
        "Where" => {
            let (c, a, b) = (inputs.get(0)?.i(), inputs.get(1)?, inputs.get(2)?);
            let shape = broadcast_shape(&broadcast_shape(a.shape(), b.shape())?, c.shape())?;
            let c = broadcast(&c, &shape)?;
            match (a, b) {
                (Value::I(a), Value::I(b)) => {
                    let zip = Zip::from(c).and(broadcast(a, &shape)?).and(broadcast(b, &shape)?);
                    Value::I(zip.map_collect(|c, a, b| if *c != 0 { *a } else { *b }).into())
                }
                (a, b) => {
                    let (a, b) = (a.f(), b.f());
                    let zip = Zip::from(c).and(broadcast(&a, &shape)?).and(broadcast(&b, &shape)?);
                    Value::F(zip.map_collect(|c, a, b| if *c != 0 { *a } else { *b }).into())
                }
            }
        }
        "Sum" | "Max" | "Min" | "Mean" if inputs.len() != 2 => bail!("of {} inputs", inputs.len()),
        _ => match (inputs.optional(0), inputs.optional(1)) {
            (Some(a), Some(b)) if inputs.len() == 2 => match both(node, a, b)? {
                Some(value) => value,
                None => return Ok(None),
            },
            _ => return Ok(None),
        },
    };
    Ok(Some(vec![value]))
}

fn simple(node: &Node, inputs: &Inputs<'_>) -> Result<Value> {
    let x = inputs.get(0)?;
    let map = |f: fn(f64) -> f64, g: fn(i64) -> i64| match x {
        Value::F(a) => Value::F(a.mapv(f).into()),
        Value::I(a) => Value::I(a.mapv(g).into()),
    };
    let truth = |f: &dyn Fn(f64) -> bool| Value::I(x.f().mapv(|v| f(v).into()).into());
    Ok(match node.op.as_str() {
        "Neg" => map(|v| -v, |v| -v),
        "Abs" => map(f64::abs, i64::abs),
        "Relu" => map(|v| v.max(0.0), |v| v.max(0)),
        "Sign" => map(|v| if v == 0.0 { 0.0 } else { v.signum() }, i64::signum),
        "Not" => truth(&|v| v == 0.0),
        "IsNaN" => truth(&f64::is_nan),
        "IsInf" => truth(&f64::is_infinite),
        "Cast" => cast(x, node.int("to", 1))?,
        "CastLike" if inputs.get(1)?.is_float() => Value::F(x.f()),
        "CastLike" => Value::I(x.i()),
        "Clip" => {
            let bound = |i: usize, default: f64| inputs.optional(i).map_or(Ok(default), Value::scalar);
            let (low, high) = (bound(1, f64::NEG_INFINITY)?, bound(2, f64::INFINITY)?);
            match x {
                Value::F(a) => Value::F(a.mapv(|v| v.max(low).min(high)).into()),
                Value::I(a) => Value::I(a.mapv(|v| (v as f64).max(low).min(high) as i64).into()),
            }
        }
        _ => x.clone(),
    })
}

/// Floats stay as exact as they are: an export in half precision is read as what it was exported from.
fn cast(x: &Value, to: i64) -> Result<Value> {
    const FLOATS: [i64; 4] = [1, 10, 11, 16];
    const BOOL: i64 = 9;
    Ok(match to {
        to if FLOATS.contains(&to) => Value::F(x.f()),
        BOOL => Value::I(x.f().mapv(|v| (v != 0.0).into()).into()),
        2..=7 | 12 | 13 => Value::I(x.i()),
        other => bail!("to element type {other}"),
    })
}
