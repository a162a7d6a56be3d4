//! Golden cases of reduce_sum.

use anyhow::Result;
use teff_tools::ops::reduce_sum::ReduceSum;

use super::{Case, unary, wide};

pub(super) fn cases() -> Result<Vec<Case>> {
    Ok(vec![
        unary("sum_of_rows", ReduceSum { axes: vec![0] }, &[6, 8], 0.51)?,
        wide("sum_of_power", ReduceSum { axes: vec![1] }, &[&[5, 6]], None)?,
        unary("sum_of_outer_and_inner", ReduceSum { axes: vec![0, 2] }, &[3, 4, 5], 0.51)?,
    ])
}
