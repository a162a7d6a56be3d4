//! Golden cases of div.

use anyhow::Result;
use teff_tools::ops::div::Div;
use teff_tools::ops::function::Function;
use teff_tools::ops::table::Table;

use super::{Builder, Case};

pub(super) fn cases() -> Result<Vec<Case>> {
    // Divisors of one sign, away from 0.
    let quotient = |name: &str, a: &[usize], b: &[usize]| -> Result<Case> {
        let mut g = Builder::new(&[a, b]);
        let exp = g.node(Table { function: Function::Exp }, &[g.x(1)])?;
        let y = g.node(Div, &[g.x(0), exp])?;
        Ok(g.finish(name, &[y], 1.0, 4.0))
    };
    Ok(vec![quotient("div", &[2, 30], &[2, 30])?, quotient("div_channels", &[1, 5, 4, 3], &[3])?])
}
