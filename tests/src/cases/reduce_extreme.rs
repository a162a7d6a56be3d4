//! Golden cases of reduce_extreme.

use anyhow::Result;
use teff_tools::ops::reduce_extreme::ReduceExtreme;

use super::{Builder, Case, unary};

pub(super) fn cases() -> Result<Vec<Case>> {
    let op = |axes, largest| ReduceExtreme { axes, largest };
    let mut integers = Builder::new(&[]);
    let x = integers.integers(&[3, 9, 2], -99..99);
    let y = integers.node(op(vec![0, 1, 2], true), &[x])?;
    Ok(vec![
        unary("reduce_max", op(vec![1, 2], true), &[2, 5, 4, 3], 0.51)?,
        unary("reduce_min", op(vec![2], false), &[3, 4, 7], 0.51)?,
        integers.finish("reduce_max_integers", &[y], 1.0, 0.0),
    ])
}
