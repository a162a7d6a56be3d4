//! Golden cases of gather_elements.

use anyhow::Result;
use teff_tools::ops::gather_elements::GatherElements;

use super::{Builder, Case};

pub(super) fn cases() -> Result<Vec<Case>> {
    let mut g = Builder::new(&[&[4, 5]]);
    let at = g.integers(&[3, 5], -4..4);
    let y = g.node(GatherElements { axis: 0 }, &[g.x(0), at])?;
    let mut integers = Builder::new(&[]);
    let (data, at) = (integers.integers(&[2, 6], -99..99), integers.integers(&[2, 9], 0..6));
    let z = integers.node(GatherElements { axis: 1 }, &[data, at])?;
    Ok(vec![g.finish("gather_elements", &[y], 2.0, 0.51), integers.finish("gather_elements_integers", &[z], 1.0, 0.0)])
}
