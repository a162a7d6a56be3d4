//! Softmax over the last axis.

use anyhow::{Result, ensure};
use ndarray::ArrayD;
use teff::fixed::EXP_INPUT_FRACTION_BITS;
use teff::format::DataType;
use teff::ops::{SOFTMAX, softmax};

use crate::quantize::lower::{Lower, Lowering};
use crate::quantize::{Rule, Span};
use super::{HostOp, shape::arity};

/// `y[…,i] = exp(x[…,i]) / Σ_j exp(x[…,j])`
#[derive(Debug, Clone, PartialEq)]
pub struct Softmax;

impl HostOp for Softmax {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("Softmax", inputs.len(), 1..=1)?;
        ensure!(!inputs[0].is_empty(), "Softmax: operand without axes");
        Ok(inputs[0].to_vec())
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        self.infer(&[inputs[0].shape()])?;
        let mut y = inputs[0].as_standard_layout().into_owned();
        for mut row in y.rows_mut() {
            let max = row.fold(f32::NEG_INFINITY, |a, &b| a.max(b));
            let sum: f64 = row.iter().map(|&x| f64::from(x - max).exp()).sum();
            row.mapv_inplace(|x| (f64::from(x - max).exp() / sum) as f32);
        }
        Ok(y)
    }
}

impl Lower for Softmax {
    fn rule(&self) -> Rule {
        Rule::Fixed(Span::Unit)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let x = cx.x(0)?;
        let scale = f64::from(cx.quant(0)?.scale);
        // int8 differences are so coarse that the argument's own fraction bits do; int16 ones get all that fit.
        let shift = match cx.data_type() {
            DataType::I16 => (31 - EXP_INPUT_FRACTION_BITS as i32 - scale.log2().ceil() as i32).clamp(0, 31),
            _ => 0,
        };
        let multiplier = (scale * f64::from(EXP_INPUT_FRACTION_BITS as i32 + shift).exp2()).round();
        let multiplier = multiplier.clamp(1.0, f64::from(u32::MAX)) as u32;
        cx.step(&SOFTMAX, &[x], &softmax::Params { multiplier, shift: shift as u8, reserved: [0; 3] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn rows_sum_to_one_without_overflow() {
        let y = Softmax.eval(&[&array![[1000.0, 1000.0], [0.0, 1.0]].into_dyn()]).unwrap();
        assert_eq!(y[[0, 0]], 0.5);
        assert!((y[[1, 1]] - 0.731_058_6).abs() < 1e-6);
    }
}
