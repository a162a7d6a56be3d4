//! Golden cases of add.

use anyhow::Result;
use teff_tools::ops::add::Add;
use teff_tools::ops::clamp::Clamp;

use super::{Builder, Case, binary, wide};

pub(super) fn cases() -> Result<Vec<Case>> {
    let op = Add { clamp: None };
    let mut constant = Builder::new(&[&[1, 4, 3, 5]]);
    let c = constant.constant(&[5], 1.0);
    let y = constant.node(op.clone(), &[constant.x(0), c])?;
    // The constant is quantized too: half a step of its own scale, which is a fraction of the output's.
    let constant = constant.finish("add_constant", &[y], 2.0, 1.0);
    let mut twice = Builder::new(&[&[3, 7]]);
    let y = twice.node(op.clone(), &[twice.x(0), twice.x(0)])?;
    Ok(vec![
        binary("add", op.clone(), &[1, 5, 4, 3], &[1, 5, 4, 3], 0.51)?,
        binary("add_relu", Add { clamp: Some(Clamp::RELU) }, &[2, 33], &[2, 33], 0.51)?,
        binary("add_channels", op.clone(), &[1, 5, 4, 3], &[3], 0.51)?,
        binary("add_both_broadcast", op, &[4, 1, 3], &[1, 5, 1], 0.51)?,
        constant,
        twice.finish("add_to_itself", &[y], 2.0, 0.51),
        wide("add_power", Add { clamp: None }, &[&[4, 6], &[4, 6]], None)?,
    ])
}
