//! Golden cases of concat.

use anyhow::Result;
use teff_tools::ops::clamp::Clamp;
use teff_tools::ops::concat::Concat;
use teff_tools::ops::function::Function;
use teff_tools::ops::table::Table;

use super::{Builder, Case, binary};

pub(super) fn cases() -> Result<Vec<Case>> {
    let mut mixed = Builder::new(&[&[1, 3, 3, 2]]);
    let c = mixed.constant(&[1, 3, 3, 1], 2.0);
    let a = mixed.node(Table { function: Function::Tanh }, &[mixed.x(0)])?;
    let b = mixed.node(Clamp::RELU, &[mixed.x(0)])?;
    let y = mixed.node(Concat { axis: 3 }, &[a, c, b])?;
    Ok(vec![
        binary("concat_channels", Concat { axis: 3 }, &[1, 4, 3, 2], &[1, 4, 3, 5], 0.51)?,
        binary("concat_rows", Concat { axis: 1 }, &[2, 3, 4], &[2, 5, 4], 0.51)?,
        // tanh is rounded to its own scale first: one step of 1/128 and one of the output.
        mixed.finish("concat_of_unlike_scales", &[y], 4.0, 1.01),
    ])
}
