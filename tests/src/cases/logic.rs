//! Golden cases of logic.

use anyhow::Result;
use teff::kernels::choice::{Connective, Relation};
use teff_tools::ops::compare::Compare;
use teff_tools::ops::logic::Logic;

use super::{Builder, Case};

pub(super) fn cases() -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for connective in [Connective::And, Connective::Or, Connective::Xor] {
        let mut g = Builder::new(&[]);
        let (a, b) = (g.integers(&[4, 1, 5], -2..3), g.integers(&[3, 5], -2..3));
        let zero = g.constant_integers(&[], &[0]);
        let a = g.node(Compare { relation: Relation::Less }, &[a, zero])?;
        let b = g.node(Compare { relation: Relation::Less }, &[b, zero])?;
        let y = g.node(Logic { connective }, &[a, b])?;
        cases.push(g.finish(&format!("logic_{connective:?}").to_lowercase(), &[y], 1.0, 0.0));
    }
    Ok(cases)
}
