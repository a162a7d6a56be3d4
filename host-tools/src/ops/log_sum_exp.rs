//! Logarithm of the sum of the exponentials over the last axis.

use anyhow::{Result, ensure};
use ndarray::{ArrayD, Axis};
use teff::fixed::{LN_FRACTION_BITS, Multiplier};
use teff::ops::{LOG_SUM_EXP, log_sum_exp};

use super::{
    HostOp,
    shape::{arity, reduced},
};
use crate::quantize::lower::{Lower, Lowering};

/// `ln Σ_j exp(x[…,j])` over the last axis, which stays with length 1.
#[derive(Debug, Clone, PartialEq)]
pub struct LogSumExp;

impl HostOp for LogSumExp {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("LogSumExp", inputs.len(), 1..=1)?;
        ensure!(!inputs[0].is_empty(), "LogSumExp: operand without axes");
        reduced("LogSumExp", inputs[0], &[inputs[0].len() - 1])
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        self.infer(&[inputs[0].shape()])?;
        let last = Axis(inputs[0].ndim() - 1);
        let log_sum = |row: ndarray::ArrayView1<f32>| {
            let max = row.fold(f32::NEG_INFINITY, |a, &b| a.max(b));
            let sum: f64 = row.iter().map(|&x| f64::from(x - max).exp()).sum();
            (f64::from(max) + sum.ln()) as f32
        };
        Ok(inputs[0].map_axis(last, log_sum).insert_axis(last))
    }
}

impl Lower for LogSumExp {
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let x = cx.x(0)?;
        let scale = f64::from(cx.quant(0)?.scale) * f64::from(1_u32 << LN_FRACTION_BITS);
        // As many fraction bits as 32 bits have room for.
        let exp_shift = (31.0 - scale.log2().floor()).clamp(0.0, 31.0);
        let exp_mult = (scale * exp_shift.exp2()).round().clamp(1.0, f64::from(u32::MAX)) as u32;
        let factor = 1.0 / f64::from(1_u32 << LN_FRACTION_BITS) / f64::from(cx.out_quant()?.scale);
        let Multiplier { mult, shift } = cx.multiplier(factor)?;
        let (limits, exp_shift) = (cx.limits(None)?, exp_shift as u8);
        cx.step(&LOG_SUM_EXP, &[x], &log_sum_exp::Params { exp_mult, mult, limits, shift, exp_shift, reserved: [0; 2] })
    }
}
