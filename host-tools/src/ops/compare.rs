//! Elementwise comparison with broadcast.

use anyhow::Result;
use ndarray::ArrayD;
use teff::kernels::choice::Relation;
use teff::ops::{COMPARE, compare};

use super::{
    HostOp,
    shape::{arity, broadcast, elementwise, same_kind},
};
use crate::ir::Kind;
use crate::quantize::lower::{Lower, Lowering};

/// Truth values: whether `a` and `b` are so related, shapes broadcast by the rules of numpy; either operand may be constant.
#[derive(Debug, Clone, PartialEq)]
pub struct Compare {
    /// The relation.
    pub relation: Relation,
}

impl HostOp for Compare {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("Compare", inputs.len(), 2..=2)?;
        broadcast(inputs[0], inputs[1])
    }

    fn kind(&self, inputs: &[Kind]) -> Result<Kind> {
        same_kind(inputs)?;
        Ok(Kind::Truth)
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        elementwise([inputs[0], inputs[1]], |a, b| f32::from(u8::from(self.relation.holds(a, b))))
    }
}

impl Lower for Compare {
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let operands = [cx.x(0)?, cx.x(1)?];
        let [mult_a, mult_b] = match cx.kind(0)? {
            Kind::Index => [1, 1],
            Kind::Real | Kind::Truth => cx.like_scales([cx.quant(0)?.scale, cx.quant(1)?.scale]),
        };
        cx.step(&COMPARE, &operands, &compare::Params { relation: self.relation.code(), mult_a, mult_b })
    }
}
