//! Golden cases of angle.

use anyhow::Result;
use teff_tools::ops::angle::Angle;

use super::{Case, binary};

pub(super) fn cases() -> Result<Vec<Case>> {
    Ok(vec![
        binary("angle", Angle { full: true }, &[4, 50], &[4, 50], 0.51)?,
        binary("angle_of_quotient", Angle { full: false }, &[4, 1, 30], &[2, 1], 0.51)?,
    ])
}
