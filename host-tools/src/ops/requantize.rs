//! Change of scale and zero point.

use anyhow::Result;
use ndarray::ArrayD;
use teff::fixed;
use teff::format::DataType;
use teff::ops::{REQUANTIZE, REQUANTIZE_S8_S16, REQUANTIZE_S16_S8, TABLE, requantize};

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
    let limits = cx.limits(clamp)?;
    if (from.data_type, to.data_type) == (DataType::I8, DataType::I8)
        && cx.out_shape().iter().product::<usize>() >= TABLE_FROM
    {
        let value = |q: i32| {
            let y = fixed::requantize(q - from.zero_point, factor).saturating_add(to.zero_point);
            y.clamp(limits.min.into(), limits.max.into()) as i8
        };
        let table: Vec<i8> = (-128..128).map(value).collect();
        let table = cx.constant("table", DataType::I8, &[256], &table);
        return cx.step(&TABLE, &[x, table], &[0_u8; 0]);
    }
    cx.step(op, &[x], &requantize::Params::new(factor, limits))
}

/// Elements of int8 from which on a table of the 256 results, which are the same, serves better: on a Cortex-M4 an element
/// then takes 6 instructions in place of 67.
const TABLE_FROM: usize = 256;
