//! Golden cases of clamp.

use anyhow::Result;
use teff_tools::ops::clamp::Clamp;

use super::{Builder, Case};

/// The input is also an output, so that the clamp is not in place.
fn kept(name: &str, op: Clamp) -> Result<Case> {
    let mut b = Builder::new(&[&[1, 4, 4, 3]]);
    let first = b.node(Clamp { min: -3.9, max: 3.9 }, &[b.x(0)])?;
    let y = b.node(op, &[first])?;
    Ok(b.finish(name, &[first, y], 4.0, 0.51))
}

pub(super) fn cases() -> Result<Vec<Case>> {
    Ok(vec![kept("clip", Clamp { min: -3.6, max: 3.7 })?, kept("relu_with_a_narrower_range", Clamp::RELU)?])
}
