//! Arithmetic on integers.

use anyhow::{Result, ensure};
use ndarray::ArrayD;
use teff::kernels::index::Arithmetic;
use teff::ops::{INDEX_ARITHMETIC, index_arithmetic};

use super::{
    HostOp,
    shape::{arity, broadcast, elementwise},
};
use crate::ir::Kind;
use crate::quantize::lower::{Lower, Lowering};

/// `y = a ∘ b` on integers, shapes broadcast by the rules of numpy; either operand may be constant.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexArithmetic {
    /// The operation.
    pub operation: Arithmetic,
}

impl HostOp for IndexArithmetic {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("IndexArithmetic", inputs.len(), 2..=2)?;
        broadcast(inputs[0], inputs[1])
    }

    fn kind(&self, inputs: &[Kind]) -> Result<Kind> {
        ensure!(inputs.iter().all(|&k| k == Kind::Index), "IndexArithmetic: operands of {inputs:?}, integers wanted");
        Ok(Kind::Index)
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        let results = elementwise([inputs[0], inputs[1]], |a, b| {
            let result = self.operation.of(a as i32, b as i32).map_or(f32::NAN, |y| y as f32);
            if result.abs() <= Kind::LARGEST_INDEX { result } else { f32::NAN }
        })?;
        ensure!(!results.iter().any(|y| y.is_nan()), "{:?} of integers does not fit in 24 bits", self.operation);
        Ok(results)
    }
}

impl Lower for IndexArithmetic {
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let operands = [cx.x(0)?, cx.x(1)?];
        cx.step(&INDEX_ARITHMETIC, &operands, &index_arithmetic::Params { operation: self.operation.code() })
    }
}
