//! Golden cases of reduce_square.

use anyhow::Result;
use teff_tools::ops::reduce_square::ReduceSquare;

use super::{Case, unary};

pub(super) fn cases() -> Result<Vec<Case>> {
    Ok(vec![
        unary("reduce_l2", ReduceSquare { axes: vec![1], root: true }, &[6, 32], 0.52)?,
        unary("reduce_sum_square", ReduceSquare { axes: vec![0, 2], root: false }, &[4, 5, 3], 0.51)?,
    ])
}
