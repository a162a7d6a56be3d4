//! Relu, relu6, clip.

use anyhow::{Result, ensure};
use ndarray::ArrayD;
use teff::format::DataType;
use teff::ops::{CLAMP, clamp};

use super::requantize::lower_requantize;
use super::table::lower_function;
use crate::quantize::Rule;
use crate::quantize::lower::{Lower, Lowering};
use super::{HostOp, shape::arity};

/// `y = min(max(x, min), max)`; an infinite bound does not bind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clamp {
    /// Lower bound.
    pub min: f32,
    /// Upper bound.
    pub max: f32,
}

impl Clamp {
    /// `max(x, 0)`.
    pub const RELU: Clamp = Clamp { min: 0.0, max: f32::INFINITY };

    /// The bounded value.
    pub fn apply(self, x: f32) -> f32 {
        x.max(self.min).min(self.max)
    }

    /// The clamp that does `self` first and `then` next.
    pub fn then(self, then: Clamp) -> Clamp {
        Clamp { min: then.apply(self.min), max: then.apply(self.max) }
    }

    /// A tensor with the bounds that a fused operator carries applied to it.
    pub(crate) fn apply_to(clamp: Option<Clamp>, mut x: ArrayD<f32>) -> ArrayD<f32> {
        if let Some(clamp) = clamp {
            x.mapv_inplace(|v| clamp.apply(v));
        }
        x
    }
}

impl HostOp for Clamp {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("Clamp", inputs.len(), 1..=1)?;
        ensure!(self.min <= self.max, "Clamp: lower bound {} above upper bound {}", self.min, self.max);
        Ok(inputs[0].to_vec())
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        Ok(Clamp::apply_to(Some(*self), inputs[0].clone()))
    }
}

impl Lower for Clamp {
    fn rule(&self) -> Rule {
        Rule::SameIfNear
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        if cx.quant(0)? != cx.out_quant()? {
            return match cx.data_type() {
                DataType::I16 => lower_requantize(cx, Some(self)),
                _ => lower_function(cx, |x| x.clamp(self.min, self.max)),
            };
        }
        let x = cx.x(0)?;
        let limits = cx.limits(Some(self))?;
        cx.step(&CLAMP, &[x], &clamp::Params { limits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_clamps_are_one() {
        for (a, b) in [((0.0, 6.0), (-1.0, 3.0)), ((0.0, 1.0), (2.0, 3.0)), ((-5.0, f32::INFINITY), (-9.0, -7.0))] {
            let (a, b) = (Clamp { min: a.0, max: a.1 }, Clamp { min: b.0, max: b.1 });
            for x in [-10.0, -6.0, -0.5, 0.0, 0.5, 2.5, 10.0] {
                assert_eq!(a.then(b).apply(x), b.apply(a.apply(x)));
            }
        }
    }
}
