//! Golden cases of requantize_s16_s8: from int16 to int8, where the widths of layers differ.

use anyhow::Result;

use super::{Case, mixed};

pub(super) fn cases() -> Result<Vec<Case>> {
    Ok(vec![mixed("requantize_s16_s8", "node0")?])
}
