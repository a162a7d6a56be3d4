//! A tensor with updates put, or added, at places that indices name.

use anyhow::{Result, ensure};
use ndarray::{ArrayD, Dimension, IxDyn};
use teff::ops::{SCATTER, SCATTER_ADD, scatter};

use super::{
    HostOp,
    gather_elements::fits,
    shape::{arity, place},
};
use crate::ir::Kind;
use crate::quantize::Rule;
use crate::quantize::lower::{Lower, Lowering};

/// Where the updates go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Places {
    /// Each index replaces the coordinate along this axis.
    Elements(usize),
    /// Each tuple of indices names a block.
    Nd,
}

/// The data with the updates in their places; operands data, indices, updates. Of several updates at one place the last one
/// stays, or all are added.
#[derive(Debug, Clone, PartialEq)]
pub struct Scatter {
    /// Where the updates go.
    pub places: Places,
    /// Whether they are added.
    pub add: bool,
}

impl HostOp for Scatter {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("Scatter", inputs.len(), 3..=3)?;
        let (data, indices, updates) = (inputs[0], inputs[1], inputs[2]);
        let as_wanted = match self.places {
            Places::Elements(axis) => {
                fits("Scatter", axis, data, indices)?;
                indices == updates
            }
            Places::Nd => match indices.split_last() {
                Some((&depth, tuples)) if (1..=data.len()).contains(&depth) => {
                    [tuples, &data[depth..]].concat() == updates
                }
                _ => false,
            },
        };
        ensure!(as_wanted, "Scatter: indices {indices:?} and updates {updates:?} of data {data:?}");
        Ok(data.to_vec())
    }

    fn kind(&self, inputs: &[Kind]) -> Result<Kind> {
        let &[data, index, updates] = inputs else { anyhow::bail!("Scatter: {} operands", inputs.len()) };
        ensure!(index == Kind::Index && data == updates, "Scatter: operands of {inputs:?}");
        ensure!(!self.add || data == Kind::Real, "Scatter: only real updates are added");
        Ok(data)
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        let (data, indices, updates) = (inputs[0], inputs[1], inputs[2]);
        self.infer(&[data.shape(), indices.shape(), updates.shape()])?;
        let mut y = data.as_standard_layout().into_owned();
        for (at, &update) in updates.indexed_iter() {
            let at = at.slice().to_vec();
            let to = match self.places {
                Places::Elements(axis) => {
                    let mut to = at.clone();
                    to[axis] = place(indices[IxDyn(&at)], data.shape()[axis])?;
                    to
                }
                Places::Nd => {
                    let (tuple, inner) = at.split_at(indices.ndim() - 1);
                    let depth = indices.shape()[indices.ndim() - 1];
                    let index = |k| place(indices[IxDyn(&[tuple, &[k][..]].concat())], data.shape()[k]);
                    let mut to = (0..depth).map(index).collect::<Result<Vec<_>>>()?;
                    to.extend(inner);
                    to
                }
            };
            let y = &mut y[IxDyn(&to)];
            *y = if self.add { *y + update } else { update };
        }
        Ok(y)
    }
}

impl Lower for Scatter {
    fn rule(&self) -> Rule {
        Rule::SharedWithInputs
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let quant = cx.out_quant()?;
        let operands = [cx.x_as(0, quant)?, cx.x(1)?, cx.x_as(2, quant)?];
        let params = match self.places {
            Places::Elements(axis) => scatter::Params { mode: 0, axis: u32::try_from(axis)? },
            Places::Nd => scatter::Params { mode: 1, axis: 0 },
        };
        cx.step(if self.add { &SCATTER_ADD } else { &SCATTER }, &operands, &params)
    }
}
