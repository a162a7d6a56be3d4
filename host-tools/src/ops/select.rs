//! Choice between two tensors.

use anyhow::{Result, ensure};
use ndarray::{ArrayD, IxDyn, Zip};
use teff::ops::{SELECT, select};

use super::{
    HostOp,
    shape::{arity, broadcast, same_kind},
};
use crate::ir::Kind;
use crate::quantize::Rule;
use crate::quantize::lower::{Lower, Lowering};

/// `y = a` where the condition is true, `b` elsewhere; operands condition, a, b, shapes broadcast by the rules of numpy.
#[derive(Debug, Clone, PartialEq)]
pub struct Select;

impl HostOp for Select {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("Select", inputs.len(), 3..=3)?;
        broadcast(inputs[0], &broadcast(inputs[1], inputs[2])?)
    }

    fn kind(&self, inputs: &[Kind]) -> Result<Kind> {
        ensure!(inputs.first() == Some(&Kind::Truth), "Select: the condition is no truth value");
        same_kind(&inputs[1..])
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        let shape = self.infer(&[inputs[0].shape(), inputs[1].shape(), inputs[2].shape()])?;
        let mut y = ArrayD::zeros(IxDyn(&shape));
        Zip::from(&mut y)
            .and_broadcast(inputs[0])
            .and_broadcast(inputs[1])
            .and_broadcast(inputs[2])
            .for_each(|y, &condition, &a, &b| *y = if condition != 0.0 { a } else { b });
        Ok(y)
    }
}

impl Lower for Select {
    fn rule(&self) -> Rule {
        Rule::SharedWithInputs
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let quant = cx.out_quant()?;
        let operands = [cx.x(0)?, cx.x_as(1, quant)?, cx.x_as(2, quant)?];
        cx.step(&SELECT, &operands, &select::Params)
    }
}
