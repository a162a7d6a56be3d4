//! Golden cases of requantize.

use anyhow::Result;
use teff_tools::ops::requantize::Requantize;

use super::{Case, unary};

pub(super) fn cases() -> Result<Vec<Case>> {
    Ok(vec![unary("requantize", Requantize { to: None }, &[2, 3, 11], 0.51)?])
}
