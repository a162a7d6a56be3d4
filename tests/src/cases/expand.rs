//! Golden cases of expand.

use anyhow::Result;
use teff_tools::ops::expand::Expand;

use super::{Builder, Case, unary};

pub(super) fn cases() -> Result<Vec<Case>> {
    let mut integers = Builder::new(&[]);
    let x = integers.integers(&[3, 1], -9..9);
    let y = integers.node(Expand { shape: vec![3, 5] }, &[x])?;
    Ok(vec![
        unary("expand", Expand { shape: vec![2, 3, 4, 5] }, &[2, 1, 4, 1], 0.51)?,
        integers.finish("expand_integers", &[y], 1.0, 0.0),
    ])
}
