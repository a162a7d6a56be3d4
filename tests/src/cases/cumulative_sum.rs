//! Golden cases of cumulative_sum.

use anyhow::Result;
use teff_tools::ops::cumulative_sum::CumulativeSum;

use super::{Case, unary};

pub(super) fn cases() -> Result<Vec<Case>> {
    let op = |axis, exclusive, reverse| CumulativeSum { axis, exclusive, reverse };
    Ok(vec![
        unary("cumulative_sum", op(1, false, false), &[3, 20], 0.51)?,
        unary("cumulative_sum_reverse", op(0, true, true), &[9, 2, 3], 0.51)?,
    ])
}
