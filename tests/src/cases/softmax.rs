//! Golden cases of softmax.

use anyhow::Result;
use teff_tools::ops::softmax::Softmax;

use super::{Case, unary};

pub(super) fn cases() -> Result<Vec<Case>> {
    Ok(vec![
        unary("softmax", Softmax, &[1, 10], 1.01)?,
        unary("softmax_rows", Softmax, &[2, 3, 33], 0.51)?,
        // One class alone has probability 1, which int8 holds as 255/256.
        unary("softmax_of_one", Softmax, &[4, 1], 1.01)?,
    ])
}
