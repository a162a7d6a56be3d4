//! Change of scale and zero point.

use anyhow::Result;
use ndarray::ArrayD;
use teff::fixed::Multiplier;
use teff::ops::{REQUANTIZE, requantize};

use crate::quantize::lower::{Lower, Lowering};
use super::{HostOp, shape::arity};

/// The identity in float; on the device the same values under another scale and zero point.
#[derive(Debug, Clone, PartialEq)]
pub struct Requantize;

impl HostOp for Requantize {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("Requantize", inputs.len(), 1..=1)?;
        Ok(inputs[0].to_vec())
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        Ok(inputs[0].clone())
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
