//! Golden cases of transpose.

use anyhow::Result;
use teff_tools::ops::transpose::Transpose;

use super::{Case, unary};

pub(super) fn cases() -> Result<Vec<Case>> {
    Ok(vec![
        unary("transpose", Transpose { perm: vec![1, 0] }, &[5, 7], 0.01)?,
        unary("transpose_nchw", Transpose { perm: vec![0, 3, 1, 2] }, &[2, 3, 4, 5], 0.01)?,
        unary("transpose_inner_run", Transpose { perm: vec![1, 0, 2] }, &[3, 4, 6], 0.01)?,
    ])
}
