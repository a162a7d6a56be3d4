//! Elementwise minimum with broadcast.

use anyhow::Result;
use ndarray::ArrayD;
use teff::ops::{MINIMUM, minimum};

use super::{
    HostOp,
    shape::{arity, broadcast, elementwise},
};
use crate::quantize::Rule;
use crate::quantize::lower::{Lower, Lowering};

/// `y = min(a, b)`, shapes broadcast by the rules of numpy; either operand may be constant.
#[derive(Debug, Clone, PartialEq)]
pub struct Minimum;

impl HostOp for Minimum {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("Minimum", inputs.len(), 2..=2)?;
        broadcast(inputs[0], inputs[1])
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        elementwise([inputs[0], inputs[1]], f32::min)
    }
}

impl Lower for Minimum {
    fn rule(&self) -> Rule {
        Rule::SharedWithInputs
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let quant = cx.out_quant()?;
        let operands = [cx.x_as(0, quant)?, cx.x_as(1, quant)?];
        cx.step(&MINIMUM, &operands, &minimum::Params)
    }
}
