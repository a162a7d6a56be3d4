//! Golden cases of reshape.

use anyhow::Result;
use teff_tools::ops::clamp::Clamp;
use teff_tools::ops::reshape::Reshape;

use super::{Builder, Case, unary};

pub(super) fn cases() -> Result<Vec<Case>> {
    let mut kept = Builder::new(&[&[1, 4, 6]]);
    let x = kept.node(Clamp { min: -3.9, max: 3.9 }, &[kept.x(0)])?;
    let y = kept.node(Reshape { shape: vec![24] }, &[x])?;
    Ok(vec![
        unary("reshape", Reshape { shape: vec![3, 2, 4] }, &[1, 4, 6], 0.01)?,
        kept.finish("reshape_of_an_output", &[x, y], 4.0, 0.51),
    ])
}
