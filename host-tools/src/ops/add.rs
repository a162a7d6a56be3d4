//! Elementwise sum with broadcast.

use anyhow::{Result, ensure};
use ndarray::ArrayD;
use teff::format::DataType;
use teff::kernels::Element;
use teff::ops::{ADD, ADD_TFLITE, add, add_tflite};

use crate::program::TensorId;
use crate::quantize::lower::{Lower, Lowering};
use super::{
    HostOp,
    clamp::Clamp,
    shape::{arity, broadcast},
};

/// `y = clamp(a + b)`, shapes broadcast by the rules of numpy; either operand may be constant.
#[derive(Debug, Clone, PartialEq)]
pub struct Add {
    /// Bounds of the result.
    pub clamp: Option<Clamp>,
}

impl HostOp for Add {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("Add", inputs.len(), 2..=2)?;
        broadcast(inputs[0], inputs[1])
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        self.infer(&[inputs[0].shape(), inputs[1].shape()])?;
        Ok(Clamp::apply_to(self.clamp, inputs[0] + inputs[1]))
    }
}

impl Lower for Add {
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        if cx.rounds_as_tflite() {
            return lower_tflite(cx, self.clamp.as_ref(), false);
        }
        let (operands, params) = sum_params(cx, self.clamp.as_ref())?;
        cx.step(&ADD, &operands, &params)
    }
}

/// A sum or difference with the roundings of TensorFlow Lite.
pub(super) fn lower_tflite(cx: &mut Lowering<'_>, clamp: Option<&Clamp>, difference: bool) -> Result<()> {
    let operands = [cx.x(0)?, cx.x(1)?];
    let scales = [cx.quant(0)?.scale, cx.quant(1)?.scale].map(f64::from);
    let fine_first = scales[0] < scales[1];
    let twice_largest = 2.0 * scales[0].max(scales[1]);
    // 20 more fraction bits than the operands have.
    let fine = cx.rounded(scales[0].min(scales[1]) / twice_largest)?;
    let sum = cx.rounded(twice_largest / (f64::from(1 << 20) * f64::from(cx.out_quant()?.scale)))?;
    let params = add_tflite::Params {
        fine_mult: fine.mult,
        sum_mult: sum.mult,
        limits: cx.limits(clamp)?,
        fine_shift: fine.shift,
        sum_shift: sum.shift,
        fine_first: fine_first.into(),
        difference: difference.into(),
    };
    cx.step(&ADD_TFLITE, &operands, &params)
}

/// Operands and parameters of a sum or difference: both factors share the largest shift at which neither exceeds
/// [`Element::MAX_FACTOR`].
pub(super) fn sum_params(cx: &mut Lowering<'_>, clamp: Option<&Clamp>) -> Result<([TensorId; 2], add::Params)> {
    let (max_factor, max_shift) = match cx.data_type() {
        DataType::I16 => (<i16 as Element>::MAX_FACTOR, <i16 as Element>::MAX_SUM_SHIFT),
        DataType::I32 => (<i32 as Element>::MAX_FACTOR, <i32 as Element>::MAX_SUM_SHIFT),
        _ => (<i8 as Element>::MAX_FACTOR, <i8 as Element>::MAX_SUM_SHIFT),
    };
    let operands = [cx.x(0)?, cx.x(1)?];
    let out = f64::from(cx.out_quant()?.scale);
    // An operand whose single step is wider than the output's whole range saturates it: how far it is beyond does not
    // matter. A mask of −10^9 is such an operand.
    const BEYOND: f64 = (1 << 10) as f64;
    let factor = |slot| Ok::<_, anyhow::Error>((f64::from(cx.quant(slot)?.scale) / out).min(BEYOND));
    let factors = [factor(0)?, factor(1)?];
    let largest = factors[0].max(factors[1]);
    let shift = (f64::from(max_factor) / largest).log2().floor().min(max_shift.into());
    ensure!(shift >= 0.0, "the result's range is {largest:.0} times smaller than the operands': calibrate with other samples");
    let [mult_a, mult_b] = factors.map(|f| (f * shift.exp2()).round() as i32);
    let limits = cx.limits(clamp)?;
    Ok((operands, add::Params { mult_a, mult_b, limits, shift: shift as u8, reserved: [0; 3] }))
}
