//! Change of scale and zero point.

use anyhow::Result;
use ndarray::ArrayD;
use teff::format::DataType;
use teff::ops::{REQUANTIZE, REQUANTIZE_S8_S16, REQUANTIZE_S16_S8, requantize};

use crate::quantize::QuantParams;
use crate::quantize::lower::{Lower, Lowering};
use super::{HostOp, clamp::Clamp, shape::arity, table::lower_function};

/// The same values under another scale and zero point, or in another type: rounded and saturated to the given ones, or as the device's
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
        lower_requantize(cx, None)
    }
}

/// A step that gives its operand the quantization of the result, type included, and bounds it.
pub(super) fn lower_requantize(cx: &mut Lowering<'_>, clamp: Option<&Clamp>) -> Result<()> {
    let (from, to) = (cx.quant(0)?, cx.out_quant()?);
    if from.data_type == DataType::I32 || to.data_type == DataType::I32 {
        return lower_function(cx, |x| x);
    }
    let op = match (from.data_type, to.data_type) {
        (DataType::I8, DataType::I16) => &REQUANTIZE_S8_S16,
        (DataType::I16, DataType::I8) => &REQUANTIZE_S16_S8,
        _ => &REQUANTIZE,
    };
    let x = cx.x(0)?;
    let factor = cx.rounded(f64::from(from.scale) / f64::from(to.scale))?;
    cx.step(op, &[x], &requantize::Params::new(factor, cx.limits(clamp)?))
}
