//! Elementwise quotient with broadcast.

use anyhow::{Result, ensure};
use ndarray::ArrayD;
use teff::kernels::ratio::MAX_SHIFT;
use teff::ops::{DIV, div};

use super::{
    HostOp,
    shape::{arity, broadcast, elementwise},
};
use crate::quantize::lower::{Lower, Lowering};

/// `y = a / b`, shapes broadcast by the rules of numpy; either operand may be constant.
#[derive(Debug, Clone, PartialEq)]
pub struct Div;

impl HostOp for Div {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("Div", inputs.len(), 2..=2)?;
        broadcast(inputs[0], inputs[1])
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        elementwise([inputs[0], inputs[1]], |a, b| a / b)
    }
}

impl Lower for Div {
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let operands = [cx.x(0)?, cx.x(1)?];
        let (a, b, y) = (cx.quant(0)?.scale, cx.quant(1)?.scale, cx.out_quant()?.scale);
        let factor = f64::from(a) / (f64::from(b) * f64::from(y));
        // The largest shift at which the factor has at most 31 bits.
        let shift = (30.0 - factor.log2().floor()).clamp(0.0, f64::from(MAX_SHIFT));
        let mult = (factor * shift.exp2()).round();
        ensure!(mult < 2f64.powi(31), "the result's range is too small for the operands': calibrate with other samples");
        let params = div::Params { mult: mult as i32, limits: cx.limits(None)?, shift: shift as u8, reserved: [0; 3] };
        cx.step(&DIV, &operands, &params)
    }
}
