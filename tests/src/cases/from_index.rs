//! Golden cases of from_index.

use anyhow::Result;
use teff::kernels::choice::Relation;
use teff_tools::ops::compare::Compare;
use teff_tools::ops::from_index::FromIndex;

use super::{Builder, Case};

pub(super) fn cases() -> Result<Vec<Case>> {
    let mut g = Builder::new(&[]);
    let x = g.integers(&[3, 7], -40..90);
    let y = g.node(FromIndex, &[x])?;
    let mut truth = Builder::new(&[]);
    let (a, b) = (truth.integers(&[20], -3..4), truth.integers(&[20], -3..4));
    let test = truth.node(Compare { relation: Relation::Less }, &[a, b])?;
    let z = truth.node(FromIndex, &[test])?;
    Ok(vec![g.finish("from_index", &[y], 1.0, 0.51), truth.finish("from_truth", &[z], 1.0, 0.51)])
}
