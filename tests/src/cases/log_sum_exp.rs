//! Golden cases of log_sum_exp.

use anyhow::Result;
use teff_tools::ops::log_sum_exp::LogSumExp;

use super::{Case, unary};

pub(super) fn cases() -> Result<Vec<Case>> {
    Ok(vec![unary("log_sum_exp", LogSumExp, &[6, 10], 0.51)?, unary("log_sum_exp_long", LogSumExp, &[2, 1000], 0.51)?])
}
