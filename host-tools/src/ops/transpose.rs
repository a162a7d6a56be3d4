//! Axis permutation.

use anyhow::{Result, ensure};
use ndarray::{ArrayD, IxDyn};
use teff::ops::{TRANSPOSE, transpose};

use crate::ir::Kind;
use crate::quantize::Rule;
use crate::quantize::lower::{Lower, Lowering};
use super::{
    HostOp,
    shape::{arity, same_kind},
};

/// Axis `i` of the result is axis `perm[i]` of the operand.
#[derive(Debug, Clone, PartialEq)]
pub struct Transpose {
    /// A permutation of `0..rank`.
    pub perm: Vec<usize>,
}

impl Transpose {
    /// The transpose that undoes this one.
    pub fn inverse(&self) -> Transpose {
        let mut perm = vec![0; self.perm.len()];
        for (i, &p) in self.perm.iter().enumerate() {
            perm[p] = i;
        }
        Transpose { perm }
    }

    /// The transpose that does this one first and `next` after it.
    pub fn then(&self, next: &Transpose) -> Transpose {
        Transpose { perm: next.pick(&self.perm) }
    }

    /// A list with one entry an axis of the operand, in the order of the result's axes.
    pub fn pick<T: Copy>(&self, entries: &[T]) -> Vec<T> {
        self.perm.iter().map(|&p| entries[p]).collect()
    }

    /// Whether it changes nothing.
    pub fn is_identity(&self) -> bool {
        self.perm.iter().enumerate().all(|(i, &p)| i == p)
    }
}

impl HostOp for Transpose {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("Transpose", inputs.len(), 1..=1)?;
        let mut sorted = self.perm.clone();
        sorted.sort_unstable();
        ensure!(sorted.into_iter().eq(0..inputs[0].len()), "Transpose: {:?} of shape {:?}", self.perm, inputs[0]);
        Ok(self.pick(inputs[0]))
    }

    fn kind(&self, inputs: &[Kind]) -> Result<Kind> {
        same_kind(inputs)
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        self.infer(&[inputs[0].shape()])?;
        Ok(inputs[0].view().permuted_axes(IxDyn(&self.perm)).as_standard_layout().into_owned())
    }
}

impl Lower for Transpose {
    fn rule(&self) -> Rule {
        Rule::SameAsInput
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let x = cx.x(0)?;
        let mut params = transpose::Params { perm: [0; 8] };
        ensure!(self.perm.len() <= params.perm.len(), "more than {} axes", params.perm.len());
        for (to, &axis) in params.perm.iter_mut().zip(&self.perm) {
            *to = u8::try_from(axis)?;
        }
        cx.step(&TRANSPOSE, &[x], &params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::ramp;

    #[test]
    fn inverse_and_composition() {
        let (a, b) = (Transpose { perm: vec![2, 0, 1] }, Transpose { perm: vec![0, 2, 1] });
        let x = ramp(&[2, 3, 4]);
        let y = a.eval(&[&x]).unwrap();
        assert_eq!(y.shape(), [4, 2, 3]);
        assert_eq!(a.inverse().eval(&[&y]).unwrap(), x);
        assert_eq!(a.then(&b).eval(&[&x]).unwrap(), b.eval(&[&y]).unwrap());
    }
}
