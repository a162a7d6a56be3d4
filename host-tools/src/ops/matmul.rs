//! Matrix product of two activations.

use anyhow::{Result, ensure};
use ndarray::{ArrayD, Axis, Ix2, Ix3, IxDyn};
use teff::ops::{MATMUL, requantize};

use super::{
    HostOp,
    clamp::Clamp,
    shape::{arity, broadcast},
};
use crate::quantize::lower::{Lower, Lowering};

/// `y[…,i,j] = clamp(Σ_k a[…,i,k]·b[…,j,k])`: rows by rows, `a·bᵀ`. The axes in front are those of the result, or have one
/// element in all.
#[derive(Debug, Clone, PartialEq)]
pub struct MatMul {
    /// Bounds of the result.
    pub clamp: Option<Clamp>,
}

/// The axes in front of a matrix, and its axes.
fn matrix(shape: &[usize]) -> Result<(&[usize], [usize; 2])> {
    ensure!(shape.len() >= 2, "MatMul: operand of shape {shape:?}, a matrix wanted");
    let (batch, matrix) = shape.split_at(shape.len() - 2);
    Ok((batch, [matrix[0], matrix[1]]))
}

impl HostOp for MatMul {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("MatMul", inputs.len(), 2..=2)?;
        let ((a_batch, [rows, depth]), (b_batch, [columns, other])) = (matrix(inputs[0])?, matrix(inputs[1])?);
        let mut shape = broadcast(a_batch, b_batch)?;
        let whole = |batch: &[usize]| batch == shape || batch.iter().all(|&d| d == 1);
        let fits = depth == other && whole(a_batch) && whole(b_batch);
        ensure!(fits, "MatMul: {:?} by {:?}", inputs[0], inputs[1]);
        shape.extend([rows, columns]);
        Ok(shape)
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        let shape = self.infer(&[inputs[0].shape(), inputs[1].shape()])?;
        let matrices = |x: &ArrayD<f32>| -> Result<_> {
            let (batch, [rows, depth]) = matrix(x.shape())?;
            let flat = [batch.iter().product(), rows, depth];
            Ok(x.as_standard_layout().into_owned().into_shape_with_order(flat)?.into_dimensionality::<Ix3>()?)
        };
        let (a, b) = (matrices(inputs[0])?, matrices(inputs[1])?);
        let mut y = Vec::with_capacity(shape.iter().product());
        for n in 0..a.len_of(Axis(0)).max(b.len_of(Axis(0))) {
            let one = |x: &ndarray::Array3<f32>| x.index_axis(Axis(0), n % x.len_of(Axis(0))).to_owned();
            let product = one(&a).into_dimensionality::<Ix2>()?.dot(&one(&b).into_dimensionality::<Ix2>()?.t());
            y.extend(product.iter());
        }
        Ok(Clamp::apply_to(self.clamp, ArrayD::from_shape_vec(IxDyn(&shape), y)?))
    }

    fn macs(&self, inputs: &[&[usize]], output: &[usize]) -> u64 {
        let depth = inputs[0].last().copied().unwrap_or(0);
        (output.iter().product::<usize>() * depth) as u64
    }
}

impl Lower for MatMul {
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let operands = [cx.x(0)?, cx.x(1)?];
        let factor = f64::from(cx.quant(0)?.scale) * f64::from(cx.quant(1)?.scale) / f64::from(cx.out_quant()?.scale);
        let params = requantize::Params::new(cx.multiplier(factor)?, cx.limits(self.clamp.as_ref())?);
        cx.step(&MATMUL, &operands, &params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn rows_by_rows_with_a_shared_matrix() {
        let a = array![[[1.0, 2.0]], [[3.0, 4.0]]].into_dyn();
        let b = array![[[1.0, 0.0], [10.0, 1.0]]].into_dyn();
        let op = MatMul { clamp: None };
        assert_eq!(op.eval(&[&a, &b]).unwrap(), array![[[1.0, 12.0]], [[3.0, 34.0]]].into_dyn());
        assert!(op.infer(&[&[2, 3], &[3, 2]]).is_err());
        assert!(op.infer(&[&[2, 1, 3, 4], &[1, 5, 3, 4]]).is_err());
    }
}
