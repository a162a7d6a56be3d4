//! Elementwise product with broadcast.

use anyhow::Result;
use ndarray::ArrayD;
use teff::fixed::Multiplier;
use teff::ops::{MUL, mul};

use crate::quantize::lower::{Lower, Lowering};
use super::{
    HostOp,
    clamp::Clamp,
    shape::{arity, broadcast},
};

/// `y = clamp(a * b)`, shapes broadcast by the rules of numpy; either operand may be constant.
#[derive(Debug, Clone, PartialEq)]
pub struct Mul {
    /// Bounds of the result.
    pub clamp: Option<Clamp>,
}

impl HostOp for Mul {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("Mul", inputs.len(), 2..=2)?;
        broadcast(inputs[0], inputs[1])
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        self.infer(&[inputs[0].shape(), inputs[1].shape()])?;
        Ok(Clamp::apply_to(self.clamp, inputs[0] * inputs[1]))
    }
}

impl Lower for Mul {
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let operands = [cx.x(0)?, cx.x(1)?];
        let factor = f64::from(cx.quant(0)?.scale) * f64::from(cx.quant(1)?.scale) / f64::from(cx.out_quant()?.scale);
        let Multiplier { mult, shift } = cx.rounded(factor)?;
        let limits = cx.limits(self.clamp.as_ref())?;
        cx.step(&MUL, &operands, &mul::Params { mult, limits, shift, reserved: [0; 3] })
    }
}
