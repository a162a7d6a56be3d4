//! Parametric relu.

use anyhow::{Context, Result, ensure};
use ndarray::{ArrayD, Zip};

use super::{
    HostOp,
    shape::{arity, broadcast},
};
use crate::quantize::lower::{Lower, Lowering};

/// `y = x` where x is positive, else `slope·x`; the constant slope is broadcast to x.
#[derive(Debug, Clone, PartialEq)]
pub struct PRelu;

impl HostOp for PRelu {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("PRelu", inputs.len(), 2..=2)?;
        let shape = broadcast(inputs[0], inputs[1])?;
        ensure!(shape == inputs[0], "PRelu: slopes of shape {:?} for {:?}", inputs[1], inputs[0]);
        Ok(shape)
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        let slopes = inputs[1].broadcast(inputs[0].raw_dim()).context("PRelu: slopes do not broadcast")?;
        let mut y = inputs[0].clone();
        Zip::from(&mut y).and(slopes).for_each(|y, &slope| *y *= if *y < 0.0 { slope } else { 1.0 });
        Ok(y)
    }
}

impl Lower for PRelu {
    fn lower(&self, _cx: &mut Lowering<'_>) -> Result<()> {
        anyhow::bail!("only the float form exists yet")
    }
}
