//! Golden cases of maximum.

use anyhow::Result;
use teff_tools::ops::maximum::Maximum;

use super::{Builder, Case, binary};

pub(super) fn cases() -> Result<Vec<Case>> {
    let mut floor = Builder::new(&[&[1, 3, 3, 4]]);
    let c = floor.constant(&[4], 1.0);
    let y = floor.node(Maximum, &[floor.x(0), c])?;
    Ok(vec![
        // Operands are requantized to the result's scale first.
        binary("maximum", Maximum, &[1, 5, 4, 3], &[1, 5, 4, 3], 0.51)?,
        binary("maximum_scalar", Maximum, &[2, 9], &[1], 0.51)?,
        floor.finish("maximum_channels", &[y], 2.0, 0.51),
    ])
}
