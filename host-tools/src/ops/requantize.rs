//! Change of scale and zero point.

use anyhow::Result;
use ndarray::ArrayD;
use teff::fixed::Multiplier;
use teff::ops::{REQUANTIZE, requantize};

use crate::quantize::QuantParams;
use crate::quantize::lower::{Lower, Lowering};
use super::{HostOp, shape::arity};

/// The same values under another scale and zero point: rounded and saturated to the given ones, or as the device's
/// tensor has them.
///
/// With parameters it stands for the quantization that a quantized model prescribes at this point. While the passes
/// run, such a node keeps its operand and its result apart; the last of them makes it a [pin](crate::ir::Value::pin).
#[derive(Debug, Clone, PartialEq)]
pub struct Requantize {
    /// The model's scale and zero point, if it prescribes them.
    pub to: Option<QuantParams>,
}

impl HostOp for Requantize {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("Requantize", inputs.len(), 1..=1)?;
        Ok(inputs[0].to_vec())
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        Ok(match self.to {
            Some(to) => inputs[0].mapv(|v| to.round(v)),
            None => inputs[0].clone(),
        })
    }
}

impl Lower for Requantize {
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let x = cx.x(0)?;
        let factor = f64::from(cx.quant(0)?.scale) / f64::from(cx.out_quant()?.scale);
        let Multiplier { mult, shift } = cx.multiplier(factor)?;
        let params = requantize::Params { mult, limits: cx.limits(None)?, shift, reserved: [0; 3] };
        cx.step(&REQUANTIZE, &[x], &params)
    }
}
