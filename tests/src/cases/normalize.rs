//! Golden cases of normalize.

use anyhow::Result;
use teff_tools::ops::normalize::Normalize;

use super::{Builder, Case, unary};

/// With scale and bias over the last axes.
fn affine(name: &str, op: Normalize, shape: &[usize], last: &[usize]) -> Result<Case> {
    let mut b = Builder::new(&[shape]);
    let (scale, bias) = (b.constant(last, 1.5), b.constant(last, 1.0));
    let y = b.node(op, &[b.x(0), scale, bias])?;
    Ok(b.finish(name, &[y], 3.0, 1.0))
}

pub(super) fn cases() -> Result<Vec<Case>> {
    let op = |axes: &[usize], centered| Normalize { axes: axes.to_vec(), epsilon: 1e-5, centered };
    Ok(vec![
        affine("normalize_layer", op(&[2], true), &[1, 5, 24], &[24])?,
        affine("normalize_groups", op(&[1, 3], true), &[2, 12, 3, 4], &[3, 4])?,
        affine("normalize_rms", op(&[1], false), &[6, 32], &[32])?,
        unary("normalize_instance", op(&[1, 2], true), &[2, 5, 6, 3], 1.0)?,
    ])
}
