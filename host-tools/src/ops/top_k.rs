//! Indices of the largest or smallest elements along an axis.

use anyhow::{Result, ensure};
use ndarray::{ArrayD, Axis, IxDyn};
use teff::ops::{TOP_K, top_k};

use super::{HostOp, shape::arity};
use crate::ir::Kind;
use crate::quantize::lower::{Lower, Lowering, small};

/// Indices of the k extreme elements along an axis, the most extreme first; of equal ones the first.
#[derive(Debug, Clone, PartialEq)]
pub struct TopK {
    /// The axis.
    pub axis: usize,
    /// How many.
    pub k: usize,
    /// Whether the largest elements are wanted, not the smallest.
    pub largest: bool,
}

impl HostOp for TopK {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("TopK", inputs.len(), 1..=1)?;
        let mut shape = inputs[0].to_vec();
        let fits = shape.get(self.axis).is_some_and(|&len| (1..=len).contains(&self.k));
        ensure!(fits, "TopK: {} along axis {} of shape {shape:?}", self.k, self.axis);
        shape[self.axis] = self.k;
        Ok(shape)
    }

    fn kind(&self, _: &[Kind]) -> Result<Kind> {
        Ok(Kind::Index)
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        let mut y = ArrayD::zeros(IxDyn(&self.infer(&[inputs[0].shape()])?));
        for (line, mut places) in inputs[0].lanes(Axis(self.axis)).into_iter().zip(y.lanes_mut(Axis(self.axis))) {
            let mut order: Vec<usize> = (0..line.len()).collect();
            order.sort_by(|&a, &b| {
                let order = line[a].total_cmp(&line[b]);
                if self.largest { order.reverse() } else { order }
            });
            places.iter_mut().zip(order).for_each(|(y, i)| *y = i as f32);
        }
        Ok(y)
    }
}

impl Lower for TopK {
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let x = cx.x(0)?;
        cx.step(&TOP_K, &[x], &top_k::Params { axis: small(self.axis)?, largest: self.largest.into() })
    }
}
