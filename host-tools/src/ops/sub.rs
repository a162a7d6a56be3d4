//! Elementwise difference with broadcast.

use anyhow::Result;
use ndarray::ArrayD;
use teff::ops::SUB;

use super::add::{lower_tflite, sum_params};
use crate::quantize::lower::{Lower, Lowering};
use super::{
    HostOp,
    clamp::Clamp,
    shape::{arity, broadcast},
};

/// `y = clamp(a - b)`, shapes broadcast by the rules of numpy; either operand may be constant.
#[derive(Debug, Clone, PartialEq)]
pub struct Sub {
    /// Bounds of the result.
    pub clamp: Option<Clamp>,
}

impl HostOp for Sub {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("Sub", inputs.len(), 2..=2)?;
        broadcast(inputs[0], inputs[1])
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        self.infer(&[inputs[0].shape(), inputs[1].shape()])?;
        Ok(Clamp::apply_to(self.clamp, inputs[0] - inputs[1]))
    }
}

impl Lower for Sub {
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        if cx.rounds_as_tflite() {
            return lower_tflite(cx, self.clamp.as_ref(), true);
        }
        let (operands, params) = sum_params(cx, self.clamp.as_ref())?;
        cx.step(&SUB, &operands, &params)
    }
}
