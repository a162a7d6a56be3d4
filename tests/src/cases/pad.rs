//! Golden cases of pad.

use anyhow::Result;
use teff_tools::ops::pad::Pad;

use super::{Case, unary};

pub(super) fn cases() -> Result<Vec<Case>> {
    Ok(vec![
        unary("pad", Pad { pads: vec![(0, 0), (1, 2), (0, 3), (1, 0)], value: 0.0 }, &[1, 3, 4, 2], 0.01)?,
        unary("pad_with_one", Pad { pads: vec![(2, 1)], value: 1.0 }, &[7], 0.51)?,
    ])
}
