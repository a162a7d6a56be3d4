//! Operations on truth values.

use anyhow::{Result, ensure};
use ndarray::ArrayD;
use teff::kernels::choice::Connective;
use teff::ops::{LOGIC, logic};

use super::{
    HostOp,
    shape::{arity, broadcast, elementwise},
};
use crate::ir::Kind;
use crate::quantize::lower::{Lower, Lowering};

/// And, or, exclusive or, shapes broadcast by the rules of numpy; either operand may be constant.
#[derive(Debug, Clone, PartialEq)]
pub struct Logic {
    /// The operation.
    pub connective: Connective,
}

impl HostOp for Logic {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("Logic", inputs.len(), 2..=2)?;
        broadcast(inputs[0], inputs[1])
    }

    fn kind(&self, inputs: &[Kind]) -> Result<Kind> {
        ensure!(inputs.iter().all(|&k| k == Kind::Truth), "Logic: operands of {inputs:?}, truth values wanted");
        Ok(Kind::Truth)
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        elementwise([inputs[0], inputs[1]], |a, b| f32::from(u8::from(self.connective.of(a != 0.0, b != 0.0))))
    }
}

impl Lower for Logic {
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let operands = [cx.x(0)?, cx.x(1)?];
        cx.step(&LOGIC, &operands, &logic::Params { connective: self.connective.code() })
    }
}
