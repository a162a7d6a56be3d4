//! Golden cases of top_k.

use anyhow::Result;
use teff_tools::ops::gather_elements::GatherElements;
use teff_tools::ops::top_k::TopK;

use super::{Builder, Case, unary};

pub(super) fn cases() -> Result<Vec<Case>> {
    let mut values = Builder::new(&[&[3, 12]]);
    let places = values.node(TopK { axis: 1, k: 4, largest: true }, &[values.x(0)])?;
    let y = values.node(GatherElements { axis: 1 }, &[values.x(0), places])?;
    Ok(vec![
        unary("top_k_smallest", TopK { axis: 0, k: 3, largest: false }, &[8, 2], 0.0)?,
        values.finish("top_k_values", &[places, y], 2.0, 0.51),
    ])
}
