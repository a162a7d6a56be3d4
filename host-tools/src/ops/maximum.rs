//! Elementwise maximum with broadcast.

use anyhow::Result;
use ndarray::{ArrayD, Zip};
use teff::ops::{MAXIMUM, maximum};
use tract_onnx::prelude::TypedNode;
use tract_onnx::tract_core::ops::{binary::TypedBinOp, math::Max};

use super::{
    HostOp,
    shape::{arity, broadcast},
};
use crate::quantize::Rule;
use crate::quantize::lower::{Lower, Lowering};

/// `y = max(a, b)`, shapes broadcast by the rules of numpy; either operand may be constant.
#[derive(Debug, Clone, PartialEq)]
pub struct Maximum;

impl HostOp for Maximum {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("Maximum", inputs.len(), 2..=2)?;
        broadcast(inputs[0], inputs[1])
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        let shape = self.infer(&[inputs[0].shape(), inputs[1].shape()])?;
        let mut y = ArrayD::zeros(shape);
        Zip::from(&mut y).and_broadcast(inputs[0]).and_broadcast(inputs[1]).for_each(|y, &a, &b| *y = f32::max(a, b));
        Ok(y)
    }

    fn claim(node: &TypedNode) -> Option<Self> {
        node.op_as::<TypedBinOp>()?.0.is::<Max>().then_some(Self)
    }
}

impl Lower for Maximum {
    fn rule(&self) -> Rule {
        Rule::SharedWithInputs
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let quant = cx.out_quant()?;
        let operands = [cx.x_as(0, quant)?, cx.x_as(1, quant)?];
        cx.step(&MAXIMUM, &operands, &maximum::Params)
    }
}
