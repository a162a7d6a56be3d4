//! Values repeated along axes.

use anyhow::{Context, Result, ensure};
use ndarray::{ArrayD, IxDyn};
use teff::ops::{EXPAND, expand};

use super::{
    HostOp,
    shape::{arity, same_kind},
};
use crate::ir::Kind;
use crate::quantize::Rule;
use crate::quantize::lower::{Lower, Lowering};

/// The operand with some axes of length 1 repeated.
#[derive(Debug, Clone, PartialEq)]
pub struct Expand {
    /// The shape of the result: as many axes.
    pub shape: Vec<usize>,
}

impl HostOp for Expand {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("Expand", inputs.len(), 1..=1)?;
        let fits = inputs[0].iter().zip(&self.shape).all(|(&from, &to)| from == to || from == 1);
        ensure!(inputs[0].len() == self.shape.len() && fits, "Expand: {:?} to {:?}", inputs[0], self.shape);
        Ok(self.shape.clone())
    }

    fn kind(&self, inputs: &[Kind]) -> Result<Kind> {
        same_kind(inputs)
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        Ok(inputs[0].broadcast(IxDyn(&self.shape)).context("Expand: shapes")?.to_owned())
    }
}

impl Lower for Expand {
    fn rule(&self) -> Rule {
        Rule::SameAsInput
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let x = cx.x(0)?;
        cx.step(&EXPAND, &[x], &expand::Params)
    }
}
