//! Constant padding.

use anyhow::{Result, ensure};
use ndarray::{ArrayD, IxDyn, Slice};
use teff::ops::{PAD, pad};

use crate::quantize::Rule;
use crate::quantize::lower::{Lower, Lowering, small};
use super::{HostOp, shape::arity};

/// The operand surrounded by elements of one value.
#[derive(Debug, Clone, PartialEq)]
pub struct Pad {
    /// Elements added before and after, axis by axis.
    pub pads: Vec<(usize, usize)>,
    /// Their value.
    pub value: f32,
}

impl HostOp for Pad {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("Pad", inputs.len(), 1..=1)?;
        ensure!(self.pads.len() == inputs[0].len(), "Pad: {} axes padded of shape {:?}", self.pads.len(), inputs[0]);
        Ok(inputs[0].iter().zip(&self.pads).map(|(d, (before, after))| before + d + after).collect())
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        let shape = self.infer(&[inputs[0].shape()])?;
        let mut y = ArrayD::from_elem(IxDyn(&shape), self.value);
        y.slice_each_axis_mut(|axis| {
            let (before, i) = (self.pads[axis.axis.index()].0, axis.axis.index());
            Slice::from(before..before + inputs[0].shape()[i])
        })
        .assign(inputs[0]);
        Ok(y)
    }
}

impl Lower for Pad {
    fn rule(&self) -> Rule {
        Rule::SameAsInput
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let x = cx.x(0)?;
        let value = cx.quant(0)?.quantized(&[self.value]);
        let mut params = pad::Params::default();
        params.value.iter_mut().zip(value).for_each(|(to, byte)| *to = byte);
        ensure!(self.pads.len() <= params.before.len(), "more than {} axes", params.before.len());
        for (axis, &(before, after)) in self.pads.iter().enumerate() {
            (params.before[axis], params.after[axis]) = (small(before)?, small(after)?);
        }
        cx.step(&PAD, &[x], &params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn elements_are_added_around() {
        let op = Pad { pads: vec![(0, 1), (1, 0)], value: 7.0 };
        assert_eq!(op.eval(&[&array![[1.0, 2.0]].into_dyn()]).unwrap(), array![[7.0, 1.0, 2.0], [7.0, 7.0, 7.0]].into_dyn());
    }
}
