//! New shape, same elements.

use anyhow::{Result, ensure};
use ndarray::{ArrayD, IxDyn};
use teff::ops::RESHAPE;

use crate::ir::Kind;
use crate::quantize::Rule;
use crate::quantize::lower::{Lower, Lowering};
use super::{
    HostOp,
    shape::{arity, same_kind},
};

/// The elements in row-major order under a new shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Reshape {
    /// The new shape.
    pub shape: Vec<usize>,
}

impl HostOp for Reshape {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("Reshape", inputs.len(), 1..=1)?;
        let same = inputs[0].iter().product::<usize>() == self.shape.iter().product::<usize>();
        ensure!(same, "Reshape: {:?} to {:?}", inputs[0], self.shape);
        Ok(self.shape.clone())
    }

    fn kind(&self, inputs: &[Kind]) -> Result<Kind> {
        same_kind(inputs)
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        Ok(inputs[0].as_standard_layout().into_owned().into_shape_with_order(IxDyn(&self.shape))?)
    }
}

impl Lower for Reshape {
    fn rule(&self) -> Rule {
        Rule::SameAsInput
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let x = cx.x(0)?;
        cx.step(&RESHAPE, &[x], &[0_u8; 0])
    }
}
