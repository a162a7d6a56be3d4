//! Matrix product with constant weights over the last axis.

use anyhow::{Result, bail, ensure};
use ndarray::{Array2, ArrayD, IxDyn, linalg::general_mat_mul};
use teff::format::DataType;
use teff::kernels::linear;
use teff::ops::{FULLY_CONNECTED, fully_connected};

use crate::quantize::lower::{Lower, Lowering};
use super::{HostOp, clamp::Clamp, shape::arity};

/// `y[…,o] = clamp(b[o] + Σ_i w[o,i]·x[…,i])`
///
/// * `x`: `(…, I)`
/// * `w`: constant `(O, I)`
/// * `b`: constant `(O)`, optional
#[derive(Debug, Clone, PartialEq)]
pub struct FullyConnected {
    /// Bounds of the result.
    pub clamp: Option<Clamp>,
}

impl HostOp for FullyConnected {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("FullyConnected", inputs.len(), 2..=3)?;
        let (Some((&depth, rows)), &[o, i]) = (inputs[0].split_last(), inputs[1]) else {
            bail!("FullyConnected: operand of shape {:?}, weights of shape {:?}", inputs[0], inputs[1]);
        };
        ensure!(depth == i, "FullyConnected: {depth} elements a row, weights of shape {:?}", inputs[1]);
        if let Some(bias) = inputs.get(2) {
            ensure!(*bias == [o], "FullyConnected: bias of shape {bias:?}, {o} outputs");
        }
        Ok(rows.iter().copied().chain([o]).collect())
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|x| x.shape()).collect();
        let shape = self.infer(&shapes)?;
        let (o, i) = (shapes[1][0], shapes[1][1]);
        let rows = shape[..shape.len() - 1].iter().product();
        let x = inputs[0].as_standard_layout();
        let x = x.to_shape((rows, i))?;
        let w = inputs[1].to_shape((o, i))?;
        let mut y = Array2::<f32>::zeros((rows, o));
        if let Some(bias) = inputs.get(2) {
            y += &bias.to_shape(o)?;
        }
        general_mat_mul(1.0, &x, &w.t(), 1.0, &mut y);
        Ok(Clamp::apply_to(self.clamp, y.into_shape_with_order(IxDyn(&shape))?))
    }

    fn macs(&self, inputs: &[&[usize]], output: &[usize]) -> u64 {
        output.iter().chain(&inputs[1][1..]).map(|&d| d as u64).product()
    }
}

impl Lower for FullyConnected {
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let w = cx.weights(1)?;
        let &[outputs, inputs] = cx.shape(1)? else { bail!("weights must have two axes") };
        let bias = (cx.operand_count() > 2).then_some(2);
        let quantized = cx.per_channel(w, outputs, |i| i / inputs, bias)?;
        let limits = cx.limits(self.clamp.as_ref())?;
        let x = cx.x(0)?;
        let w = cx.constant("weights", DataType::I8, &[outputs, inputs], &quantized.weights);
        let [bias, mult, shift] = quantized.requant;
        cx.step(&FULLY_CONNECTED, &[x, w, bias, mult, shift], &fully_connected::Params { limits })?;
        let rows = cx.out_shape().iter().product::<usize>() / outputs;
        cx.may_overlap(linear::overlap(rows, inputs, outputs));
        cx.wish_scratch(linear::wished_scratch(rows, inputs));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{ramp, reference_close};

    #[test]
    fn rows_times_weights() {
        let op = FullyConnected { clamp: None };
        let (x, w, b) = (ramp(&[2, 3, 4]), ramp(&[5, 4]), ramp(&[5]));
        let want = ArrayD::from_shape_fn(IxDyn(&[2, 3, 5]), |at| {
            (0..4).map(|i| w[[at[2], i]] * x[[at[0], at[1], i]]).sum::<f32>() + b[[at[2]]]
        });
        reference_close(&op.eval(&[&x, &w, &b]).unwrap(), &want);
        assert_eq!(op.macs(&[x.shape(), w.shape()], want.shape()), 120);
        assert!(op.infer(&[&[2, 3], &[5, 4]]).is_err());
    }
}
