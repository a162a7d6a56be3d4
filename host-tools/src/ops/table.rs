//! Elementwise function of one variable.

use anyhow::Result;
use ndarray::ArrayD;
use teff::format::DataType;
use teff::ops::TABLE;

use crate::quantize::lower::{Lower, Lowering};
use crate::quantize::{QuantParams, Rule};
use super::{HostOp, function::Function, shape::arity};

/// `y = f(x)`, element by element: on the device a table with an entry for each of the 256 inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The function.
    pub function: Function,
}

impl HostOp for Table {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("Table", inputs.len(), 1..=1)?;
        Ok(inputs[0].to_vec())
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        Ok(inputs[0].mapv(|x| self.function.apply(x)))
    }
}

impl Lower for Table {
    fn rule(&self) -> Rule {
        match self.function {
            Function::Sigmoid | Function::HardSigmoid { .. } => Rule::Natural(QuantParams::UNIT),
            Function::Tanh => Rule::Natural(QuantParams::SIGNED_UNIT),
            _ => Rule::Calibrated,
        }
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        lower_function(cx, |x| self.function.apply(x))
    }
}

/// A step that looks each input value up in the table of `f`: entry `q + 128` is `f` of what q stands for.
pub(super) fn lower_function(cx: &mut Lowering<'_>, f: impl Fn(f32) -> f32) -> Result<()> {
    let (from, to) = (cx.quant(0)?, cx.out_quant()?);
    let table: Vec<i8> = (i8::MIN..=i8::MAX).map(|q| to.quantize(f(from.dequantize(q)))).collect();
    let x = cx.x(0)?;
    let table = cx.constant("table", DataType::I8, &[256], &table);
    cx.step(&TABLE, &[x, table], &[0_u8; 0])
}
