//! Golden cases of matmul.

use anyhow::Result;
use teff_tools::ops::clamp::Clamp;
use teff_tools::ops::matmul::MatMul;

use super::{Builder, Case, binary};

pub(super) fn cases() -> Result<Vec<Case>> {
    let op = MatMul { clamp: None };
    let mut twice = Builder::new(&[&[2, 5, 7]]);
    let y = twice.node(op.clone(), &[twice.x(0), twice.x(0)])?;
    let mut constant = Builder::new(&[&[3, 4, 6]]);
    let c = constant.constant(&[1, 5, 6], 3.0);
    let z = constant.node(MatMul { clamp: Some(Clamp::RELU) }, &[constant.x(0), c])?;
    Ok(vec![
        binary("matmul", op.clone(), &[2, 3, 5, 9], &[2, 3, 4, 9], 0.51)?,
        binary("matmul_shared_first", op.clone(), &[5, 16], &[3, 4, 16], 0.51)?,
        binary("matmul_vectors", op, &[1, 33], &[1, 33], 0.51)?,
        twice.finish("matmul_with_itself", &[y], 2.0, 0.51),
        // The constant's own rounding, half a step of a 127th of its range in each of six products.
        constant.finish("matmul_constant_relu", &[z], 2.0, 1.5),
    ])
}
