//! Golden cases of reduce_mean.

use anyhow::Result;
use teff_tools::ops::reduce_mean::ReduceMean;

use super::{Case, unary, wide};

pub(super) fn cases() -> Result<Vec<Case>> {
    Ok(vec![
        unary("mean_of_pixels", ReduceMean { axes: vec![1, 2] }, &[2, 5, 6, 7], 0.51)?,
        unary("mean_of_channels", ReduceMean { axes: vec![3] }, &[1, 3, 4, 9], 0.51)?,
        wide("mean_of_power", ReduceMean { axes: vec![0] }, &[&[7, 4]], None)?,
        unary("mean_of_all", ReduceMean { axes: vec![0, 1] }, &[6, 8], 0.51)?,
    ])
}
