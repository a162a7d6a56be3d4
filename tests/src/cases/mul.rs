//! Golden cases of mul.

use anyhow::Result;
use teff_tools::ops::mul::Mul;

use super::{Case, binary};

pub(super) fn cases() -> Result<Vec<Case>> {
    let op = Mul { clamp: None };
    Ok(vec![
        binary("mul", op.clone(), &[1, 5, 4, 3], &[1, 5, 4, 3], 0.51)?,
        binary("mul_gate", op.clone(), &[1, 4, 4, 6], &[1, 1, 1, 6], 0.51)?,
        binary("mul_scalar", op, &[1], &[2, 9], 0.51)?,
    ])
}
