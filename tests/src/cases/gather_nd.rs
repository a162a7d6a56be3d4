//! Golden cases of gather_nd.

use anyhow::Result;
use teff_tools::ops::gather_nd::GatherNd;

use super::{Builder, Case};

pub(super) fn cases() -> Result<Vec<Case>> {
    let mut g = Builder::new(&[&[4, 4, 3]]);
    let at = g.integers(&[5, 2], -4..4);
    let y = g.node(GatherNd { batch_axes: 0 }, &[g.x(0), at])?;
    let mut batches = Builder::new(&[&[2, 4, 3]]);
    let at = batches.integers(&[2, 3, 1], 0..4);
    let z = batches.node(GatherNd { batch_axes: 1 }, &[batches.x(0), at])?;
    Ok(vec![g.finish("gather_nd", &[y], 2.0, 0.51), batches.finish("gather_nd_batches", &[z], 2.0, 0.51)])
}
