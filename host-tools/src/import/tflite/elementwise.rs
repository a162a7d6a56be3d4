//! Elementwise operators and reductions.

use anyhow::{Context, Result, bail, ensure};
use tract_tflite::tflite::ActivationFunctionType;

use super::{Call, Reader, axis};
use crate::ops::{
    Op, add::Add, clamp::Clamp, div::Div, function::Function, maximum::Maximum, minimum::Minimum, mul::Mul,
    prelu::PRelu, reduce_extreme::ReduceExtreme, reduce_mean::ReduceMean, reduce_sum::ReduceSum, softmax::Softmax,
    sub::Sub, table::Table,
};

const NONE: ActivationFunctionType = ActivationFunctionType::NONE;

impl<'m> Reader<'m> {
    pub(super) fn elementwise(&mut self, code: &str, call: &Call<'m>) -> Result<()> {
        let options = "its options are missing";
        let (op, activation): (Op, _) = match code {
            "ADD" => {
                let o = call.op.builtin_options_as_add_options().context(options)?;
                (Add { clamp: None }.into(), o.fused_activation_function())
            }
            "SUB" => {
                let o = call.op.builtin_options_as_sub_options().context(options)?;
                (Sub { clamp: None }.into(), o.fused_activation_function())
            }
            "MUL" => {
                let o = call.op.builtin_options_as_mul_options().context(options)?;
                (Mul { clamp: None }.into(), o.fused_activation_function())
            }
            "DIV" => {
                let o = call.op.builtin_options_as_div_options().context(options)?;
                (Div.into(), o.fused_activation_function())
            }
            "MAXIMUM" => (Maximum.into(), NONE),
            "MINIMUM" => (Minimum.into(), NONE),
            "PRELU" => (PRelu.into(), NONE),
            "MEAN" | "SUM" | "REDUCE_MAX" | "REDUCE_MIN" => return self.reduce(code, call),
            "SOFTMAX" => return self.softmax(call),
            "QUANTIZE" | "DEQUANTIZE" => {
                let x = self.operand(call, 0)?;
                return self.finish(call, x, NONE);
            }
            _ => (unary(code, call)?, NONE),
        };
        let operands = (0..call.inputs.len()).map(|slot| self.operand(call, slot)).collect::<Result<Vec<_>>>()?;
        let y = self.push(&call.name, op, &operands)?;
        self.finish(call, y, activation)
    }

    fn softmax(&mut self, call: &Call<'m>) -> Result<()> {
        let o = call.op.builtin_options_as_softmax_options().context("its options are missing")?;
        ensure!(o.beta() == 1.0, "a softmax with beta {} is not supported", o.beta());
        let x = self.operand(call, 0)?;
        let y = self.push(&call.name, Softmax, &[x])?;
        self.finish(call, y, NONE)
    }

    fn reduce(&mut self, code: &str, call: &Call<'m>) -> Result<()> {
        let x = self.operand(call, 0)?;
        let rank = self.graph.value(x).shape.len();
        let axes = self.numbers(call, 1)?;
        let mut axes = axes.into_iter().map(|a| axis(a, rank)).collect::<Result<Vec<_>>>()?;
        axes.sort_unstable();
        axes.dedup();
        let op: Op = match code {
            "MEAN" => ReduceMean { axes }.into(),
            "SUM" => ReduceSum { axes }.into(),
            _ => ReduceExtreme { axes, largest: code == "REDUCE_MAX" }.into(),
        };
        let y = self.push(&call.name, op, &[x])?;
        self.finish(call, y, NONE)
    }
}

/// An operator of one operand and no choice.
fn unary(code: &str, call: &Call<'_>) -> Result<Op> {
    let function = match code {
        "RELU" => return Ok(Clamp::RELU.into()),
        "RELU6" => return Ok(Clamp { min: 0.0, max: 6.0 }.into()),
        "RELU_N1_TO_1" => return Ok(Clamp { min: -1.0, max: 1.0 }.into()),
        "RELU_0_TO_1" => return Ok(Clamp { min: 0.0, max: 1.0 }.into()),
        "LOGISTIC" => Function::Sigmoid,
        "TANH" => Function::Tanh,
        "HARD_SWISH" => Function::HardSwish,
        "LEAKY_RELU" => {
            let o = call.op.builtin_options_as_leaky_relu_options().context("its options are missing")?;
            Function::LeakyRelu { alpha: o.alpha() }
        }
        "ELU" => Function::Elu { alpha: 1.0 },
        "GELU" => match call.op.builtin_options_as_gelu_options().is_some_and(|o| o.approximate()) {
            true => Function::GeluTanh,
            false => Function::Gelu,
        },
        "EXP" => Function::Exp,
        "LOG" => Function::Ln,
        "SQRT" => Function::Sqrt,
        "RSQRT" => Function::Rsqrt,
        "ABS" => Function::Abs,
        "NEG" => Function::Neg,
        "SQUARE" => Function::Square,
        "SIN" => Function::Sin,
        "COS" => Function::Cos,
        "FLOOR" => Function::Floor,
        "CEIL" => Function::Ceil,
        "ROUND" => Function::Round,
        "SIGN" => Function::Sign,
        _ => bail!("this operator is not supported: convert the model to ONNX, or leave it out"),
    };
    Ok(Table { function }.into())
}
