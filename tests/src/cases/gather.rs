//! Golden cases of gather.

use anyhow::Result;
use teff_tools::ops::gather::Gather;

use super::{Builder, Case};

pub(super) fn cases() -> Result<Vec<Case>> {
    let mut rows = Builder::new(&[&[5, 3]]);
    let at = rows.integers(&[2, 4], -5..5);
    let y = rows.node(Gather { axis: 0 }, &[rows.x(0), at])?;
    let mut embedding = Builder::new(&[]);
    let (tokens, table) = (embedding.integers(&[1, 6], 0..10), embedding.constant(&[10, 8], 2.0));
    let z = embedding.node(Gather { axis: 0 }, &[table, tokens])?;
    let mut scalar = Builder::new(&[&[2, 5, 3]]);
    let at = scalar.constant_integers(&[], &[-2]);
    let middle = scalar.node(Gather { axis: 1 }, &[scalar.x(0), at])?;
    Ok(vec![
        rows.finish("gather_rows", &[y], 2.0, 0.51),
        embedding.finish("gather_embedding", &[z], 1.0, 0.51),
        scalar.finish("gather_scalar", &[middle], 2.0, 0.51),
    ])
}
