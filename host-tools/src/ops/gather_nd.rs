//! Blocks that tuples of indices name.

use anyhow::{Result, ensure};
use ndarray::{ArrayD, Dimension, IxDyn};
use teff::ops::{GATHER_ND, gather_nd};

use super::{
    HostOp,
    shape::{arity, indexed_kind, place},
};
use crate::ir::Kind;
use crate::quantize::Rule;
use crate::quantize::lower::{Lower, Lowering};

/// `y[b…, t…, :] = data[b…, indices[b…, t…, 0], …, indices[b…, t…, d−1], :]`; operands data, indices.
#[derive(Debug, Clone, PartialEq)]
pub struct GatherNd {
    /// Leading axes that data and indices share.
    pub batch_axes: usize,
}

impl HostOp for GatherNd {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("GatherNd", inputs.len(), 2..=2)?;
        let (data, indices, b) = (inputs[0], inputs[1], self.batch_axes);
        let Some((&depth, tuples)) = indices.split_last() else { anyhow::bail!("GatherNd: indices without axes") };
        let fits = b <= tuples.len() && b + depth <= data.len() && data[..b] == tuples[..b];
        ensure!(fits && depth > 0, "GatherNd: indices {indices:?} of data {data:?}");
        Ok([tuples, &data[b + depth..]].concat())
    }

    fn kind(&self, inputs: &[Kind]) -> Result<Kind> {
        indexed_kind(inputs)
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        let (data, indices) = (inputs[0], inputs[1]);
        let shape = self.infer(&[data.shape(), indices.shape()])?;
        let depth = indices.shape()[indices.ndim() - 1];
        let mut y = ArrayD::zeros(IxDyn(&shape));
        for (at, y) in y.indexed_iter_mut() {
            let at = at.slice().to_vec();
            let (tuple, inner) = at.split_at(indices.ndim() - 1);
            let mut from = tuple[..self.batch_axes].to_vec();
            for k in 0..depth {
                let index = indices[IxDyn(&[tuple, &[k][..]].concat())];
                from.push(place(index, data.shape()[self.batch_axes + k])?);
            }
            from.extend(inner);
            *y = data[IxDyn(&from)];
        }
        Ok(y)
    }
}

impl Lower for GatherNd {
    fn rule(&self) -> Rule {
        Rule::SameAsInput
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let operands = [cx.x(0)?, cx.x(1)?];
        cx.step(&GATHER_ND, &operands, &gather_nd::Params { batch_axes: u32::try_from(self.batch_axes)? })
    }
}
