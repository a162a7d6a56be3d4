//! Integers and truth values as real numbers.

use anyhow::{Result, ensure};
use ndarray::ArrayD;
use teff::ops::{FROM_INDEX, requantize};

use super::{HostOp, requantize::lower_requantize, shape::arity};
use crate::ir::Kind;
use crate::quantize::lower::{Lower, Lowering};

/// The same numbers, quantized.
#[derive(Debug, Clone, PartialEq)]
pub struct FromIndex;

impl HostOp for FromIndex {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("FromIndex", inputs.len(), 1..=1)?;
        Ok(inputs[0].to_vec())
    }

    fn kind(&self, inputs: &[Kind]) -> Result<Kind> {
        ensure!(!inputs.contains(&Kind::Real), "FromIndex: the operand is real");
        Ok(Kind::Real)
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        Ok(inputs[0].clone())
    }
}

impl Lower for FromIndex {
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        if cx.kind(0)? == Kind::Truth {
            return lower_requantize(cx, None);
        }
        let x = cx.x(0)?;
        let factor = 1.0 / f64::from(cx.out_quant()?.scale);
        let params = requantize::Params::new(cx.multiplier(factor)?, cx.limits(None)?);
        cx.step(&FROM_INDEX, &[x], &params)
    }
}
