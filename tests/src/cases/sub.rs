//! Golden cases of sub.

use anyhow::Result;
use teff_tools::ops::sub::Sub;

use super::{Case, binary, wide};

pub(super) fn cases() -> Result<Vec<Case>> {
    let op = Sub { clamp: None };
    Ok(vec![
        binary("sub", op.clone(), &[1, 5, 4, 3], &[1, 5, 4, 3], 0.51)?,
        binary("sub_scalar", op.clone(), &[2, 9], &[1], 0.51)?,
        wide("sub_power", op.clone(), &[&[4, 6], &[6]], None)?,
        binary("sub_from_channels", op, &[3], &[1, 4, 4, 3], 0.51)?,
    ])
}
