//! Concatenation along an axis.

use anyhow::{Result, ensure};
use ndarray::{ArrayD, Axis};
use teff::ops::{CONCAT, concat};

use crate::ir::Kind;
use crate::quantize::Rule;
use crate::quantize::lower::{Lower, Lowering};
use super::{HostOp, shape::same_kind};

/// The operands one after the other along an axis; the other axes agree.
#[derive(Debug, Clone, PartialEq)]
pub struct Concat {
    /// The axis.
    pub axis: usize,
}

impl HostOp for Concat {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        let Some(first) = inputs.first() else { anyhow::bail!("Concat: no operand") };
        let mut shape = first.to_vec();
        ensure!(self.axis < shape.len(), "Concat: axis {} of shape {shape:?}", self.axis);
        for input in &inputs[1..] {
            let fits = input.len() == shape.len() && (0..shape.len()).all(|i| i == self.axis || input[i] == shape[i]);
            ensure!(fits, "Concat: shapes {first:?} and {input:?} along axis {}", self.axis);
            shape[self.axis] += input[self.axis];
        }
        Ok(shape)
    }

    fn kind(&self, inputs: &[Kind]) -> Result<Kind> {
        same_kind(inputs)
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        let views: Vec<_> = inputs.iter().map(|x| x.view()).collect();
        Ok(ndarray::concatenate(Axis(self.axis), &views)?)
    }
}

impl Lower for Concat {
    fn rule(&self) -> Rule {
        Rule::SharedWithInputs
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let quant = cx.out_quant()?;
        let operands = (0..cx.operand_count()).map(|slot| cx.x_as(slot, quant)).collect::<Result<Vec<_>>>()?;
        cx.step(&CONCAT, &operands, &concat::Params { axis: u32::try_from(self.axis)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn operands_follow_each_other() {
        let (a, b) = (array![[1.0], [2.0]].into_dyn(), array![[3.0, 4.0], [5.0, 6.0]].into_dyn());
        let op = Concat { axis: 1 };
        assert_eq!(op.eval(&[&a, &b]).unwrap(), array![[1.0, 3.0, 4.0], [2.0, 5.0, 6.0]].into_dyn());
        assert!(op.infer(&[&[2, 1], &[3, 1]]).is_err());
    }
}
