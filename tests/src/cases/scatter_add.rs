//! Golden cases of scatter_add.

use anyhow::Result;
use super::Case;

pub(super) fn cases() -> Result<Vec<Case>> {
    super::scatter_cases(true)
}
