//! Golden cases of prelu.

use anyhow::Result;
use teff_tools::ops::prelu::PRelu;

use super::{Builder, Case};

fn case(name: &str, x: &[usize], slope: &[usize]) -> Result<Case> {
    let mut b = Builder::new(&[x]);
    let slope = b.constant(slope, 0.8);
    let y = b.node(PRelu, &[b.x(0), slope])?;
    Ok(b.finish(name, &[y], 2.0, 0.51))
}

pub(super) fn cases() -> Result<Vec<Case>> {
    Ok(vec![case("prelu_channels", &[1, 4, 5, 6], &[6])?, case("prelu_rows", &[2, 3, 7], &[3, 1])?])
}
