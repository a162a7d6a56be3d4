//! Parametric relu.

use anyhow::{Context, Result, ensure};
use ndarray::{ArrayD, Zip};
use teff::format::DataType;
use teff::ops::{PRELU, prelu};

use super::{
    HostOp,
    shape::{arity, broadcast},
};
use crate::quantize::lower::{Lower, Lowering};

/// `y = x` where x is positive, else `slope·x`; the constant slope is broadcast to x.
#[derive(Debug, Clone, PartialEq)]
pub struct PRelu;

impl HostOp for PRelu {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("PRelu", inputs.len(), 2..=2)?;
        let shape = broadcast(inputs[0], inputs[1])?;
        ensure!(shape == inputs[0], "PRelu: slopes of shape {:?} for {:?}", inputs[1], inputs[0]);
        Ok(shape)
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        let slopes = inputs[1].broadcast(inputs[0].raw_dim()).context("PRelu: slopes do not broadcast")?;
        let mut y = inputs[0].clone();
        Zip::from(&mut y).and(slopes).for_each(|y, &slope| *y *= if *y < 0.0 { slope } else { 1.0 });
        Ok(y)
    }
}

impl Lower for PRelu {
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let shape = cx.shape(0)?;
        let slopes = cx.data(1)?.broadcast(shape).context("PRelu: slopes do not broadcast")?;
        let slopes: Vec<f32> = slopes.iter().copied().collect();
        // The shortest run of slopes that repeats: those of the channels, if these are the last axis.
        let mut period = 1;
        for &dim in [1].iter().chain(shape.iter().rev()) {
            period *= dim;
            if slopes.chunks(period).all(|chunk| chunk == &slopes[..period]) {
                break;
            }
        }
        let factor = f64::from(cx.quant(0)?.scale) / f64::from(cx.out_quant()?.scale);
        let factors = slopes[..period].iter().map(|&slope| cx.rounded(factor * f64::from(slope)));
        let factors = factors.collect::<Result<Vec<_>>>()?;
        let (mult, shift): (Vec<i32>, Vec<u8>) = factors.iter().map(|m| (m.mult, m.shift)).unzip();
        let above = cx.rounded(factor)?;
        let operands = [
            cx.x(0)?,
            cx.constant("mult", DataType::I32, &[period], &mult),
            cx.constant("shift", DataType::U8, &[period], &shift),
        ];
        let limits = cx.limits(None)?;
        cx.step(&PRELU, &operands, &prelu::Params { mult: above.mult, limits, shift: above.shift, reserved: [0; 3] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn negative_values_are_scaled() {
        let (x, slope) = (array![[1.0, -2.0], [-4.0, 0.0]].into_dyn(), array![0.5, 0.25].into_dyn());
        assert_eq!(PRelu.eval(&[&x, &slope]).unwrap(), array![[1.0, -0.5], [-2.0, 0.0]].into_dyn());
        assert!(PRelu.infer(&[&[2], &[3, 2]]).is_err());
    }
}
