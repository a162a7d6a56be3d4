//! Golden cases of requantize_s8_s16: from int8 to int16, where the widths of layers differ.

use anyhow::Result;

use super::{Case, mixed};

pub(super) fn cases() -> Result<Vec<Case>> {
    Ok(vec![mixed("requantize_s8_s16", "node2")?])
}
