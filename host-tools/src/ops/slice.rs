//! Strided slice.

use anyhow::{Context, Result, ensure};
use ndarray::{ArrayD, Axis, Slice as Range};
use teff::ops::{SLICE, slice};

use crate::ir::Kind;
use crate::quantize::Rule;
use crate::quantize::lower::{Lower, Lowering};
use super::{
    HostOp,
    shape::{arity, same_kind},
};

/// The elements `start, start + step, …` below `end` of one axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    /// The axis.
    pub axis: usize,
    /// First index.
    pub start: usize,
    /// First index not taken.
    pub end: usize,
    /// Distance of the indices, at least 1.
    pub step: usize,
}

impl HostOp for Slice {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("Slice", inputs.len(), 1..=1)?;
        let mut shape = inputs[0].to_vec();
        let fits = self.step > 0 && self.start < self.end && shape.get(self.axis).is_some_and(|&d| self.end <= d);
        ensure!(fits, "Slice: {}..{} by {} along axis {} of {shape:?}", self.start, self.end, self.step, self.axis);
        shape[self.axis] = (self.end - self.start).div_ceil(self.step);
        Ok(shape)
    }

    fn kind(&self, inputs: &[Kind]) -> Result<Kind> {
        same_kind(inputs)
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        self.infer(&[inputs[0].shape()])?;
        let range = Range::new(self.start as isize, Some(self.end as isize), self.step as isize);
        Ok(inputs[0].slice_axis(Axis(self.axis), range).as_standard_layout().into_owned())
    }
}

impl Lower for Slice {
    fn rule(&self) -> Rule {
        Rule::SameAsInput
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let x = cx.x(0)?;
        let mut params = slice::Params { start: [0; 8], step: [1; 8] };
        let start = params.start.get_mut(self.axis).context("more than 8 axes")?;
        *start = i32::try_from(self.start)?;
        params.step[self.axis] = i32::try_from(self.step)?;
        cx.step(&SLICE, &[x], &params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn every_step_th_element() {
        let op = Slice { axis: 1, start: 1, end: 5, step: 3 };
        assert_eq!(op.eval(&[&array![[0.0, 1.0, 2.0, 3.0, 4.0]].into_dyn()]).unwrap(), array![[1.0, 4.0]].into_dyn());
        assert!(op.infer(&[&[1, 4]]).is_err());
    }
}
