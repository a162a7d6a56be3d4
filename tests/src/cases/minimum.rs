//! Golden cases of minimum.

use anyhow::Result;
use teff_tools::ops::minimum::Minimum;

use super::{Case, binary};

pub(super) fn cases() -> Result<Vec<Case>> {
    // Both operands are brought to the output's scale first.
    Ok(vec![
        binary("minimum", Minimum, &[1, 5, 4, 3], &[1, 5, 4, 3], 1.01)?,
        binary("minimum_channels", Minimum, &[1, 5, 4, 3], &[3], 1.01)?,
    ])
}
