//! Golden cases of avg_pool2d.

use anyhow::Result;
use teff_tools::ops::avg_pool2d::AvgPool2d;

use super::{Case, unary, wide};

pub(super) fn cases() -> Result<Vec<Case>> {
    let pool = AvgPool2d { kernel: [2, 2], stride: [2, 2], pad: [0; 4], count_include_pad: false };
    let padded = AvgPool2d { kernel: [3, 3], pad: [1; 4], ..pool.clone() };
    Ok(vec![
        unary("avg_pool2d", pool.clone(), &[1, 8, 9, 5], 0.51)?,
        unary("avg_pool2d_exclude_pad", padded.clone(), &[2, 7, 7, 3], 0.51)?,
        unary("avg_pool2d_include_pad", AvgPool2d { count_include_pad: true, ..padded }, &[1, 7, 7, 3], 0.51)?,
        wide("avg_pool2d_power", pool.clone(), &[&[1, 6, 8, 3]], None)?,
        unary("avg_pool2d_global", AvgPool2d { kernel: [7, 5], stride: [1, 1], ..pool }, &[1, 7, 5, 12], 0.51)?,
    ])
}
