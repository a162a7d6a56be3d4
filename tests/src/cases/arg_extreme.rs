//! Golden cases of arg_extreme.

use anyhow::Result;
use teff_tools::ops::arg_extreme::ArgExtreme;

use super::{Builder, Case, unary};

pub(super) fn cases() -> Result<Vec<Case>> {
    let op = |axis, largest, last| ArgExtreme { axis, largest, last };
    let mut integers = Builder::new(&[]);
    let x = integers.integers(&[3, 9, 2], -3..4);
    let y = integers.node(op(1, true, true), &[x])?;
    let z = integers.node(op(1, false, false), &[x])?;
    Ok(vec![
        unary("arg_max", op(1, true, false), &[4, 11], 0.0)?,
        unary("arg_min", op(0, false, true), &[7, 5], 0.0)?,
        integers.finish("arg_integers", &[y, z], 1.0, 0.0),
    ])
}
