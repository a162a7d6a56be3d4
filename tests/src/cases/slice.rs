//! Golden cases of slice.

use anyhow::Result;
use teff_tools::ops::slice::Slice;

use super::{Case, unary};

pub(super) fn cases() -> Result<Vec<Case>> {
    Ok(vec![
        unary("slice", Slice { axis: 1, start: 1, end: 4, step: 1 }, &[2, 5, 3], 0.01)?,
        unary("slice_channels_by_two", Slice { axis: 3, start: 1, end: 7, step: 2 }, &[1, 3, 2, 8], 0.01)?,
    ])
}
