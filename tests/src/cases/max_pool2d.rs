//! Golden cases of max_pool2d.

use anyhow::Result;
use teff_tools::ops::max_pool2d::MaxPool2d;

use super::{Case, unary};

pub(super) fn cases() -> Result<Vec<Case>> {
    let pool = MaxPool2d { kernel: [2, 2], stride: [2, 2], pad: [0; 4] };
    Ok(vec![
        unary("max_pool2d", pool.clone(), &[1, 8, 9, 5], 0.01)?,
        unary("max_pool2d_padded", MaxPool2d { kernel: [3, 3], pad: [1, 1, 1, 0], ..pool.clone() }, &[2, 7, 7, 3], 0.01)?,
        unary("max_pool2d_global", MaxPool2d { kernel: [6, 4], stride: [1, 1], ..pool }, &[1, 6, 4, 11], 0.01)?,
    ])
}
