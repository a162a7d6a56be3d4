//! Golden cases of select.

use anyhow::Result;
use teff::kernels::choice::Relation;
use teff_tools::ops::compare::Compare;
use teff_tools::ops::select::Select;

use super::{Builder, Case};

pub(super) fn cases() -> Result<Vec<Case>> {
    let mut g = Builder::new(&[&[2, 3, 4], &[3, 1]]);
    let zero = g.constant(&[], 0.0);
    let test = g.node(Compare { relation: Relation::Less }, &[g.x(1), zero])?;
    let y = g.node(Select, &[test, g.x(0), zero])?;
    let mut integers = Builder::new(&[]);
    let (a, b) = (integers.integers(&[20], -9..9), integers.integers(&[20], -9..9));
    let test = integers.node(Compare { relation: Relation::Less }, &[a, b])?;
    let smaller = integers.node(Select, &[test, a, b])?;
    Ok(vec![
        g.finish("select", &[y], 2.0, 0.51),
        integers.finish("select_integers", &[smaller], 1.0, 0.0),
    ])
}
