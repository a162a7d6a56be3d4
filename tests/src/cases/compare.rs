//! Golden cases of compare.

use anyhow::Result;
use teff::kernels::choice::Relation;
use teff_tools::ops::compare::Compare;
use teff_tools::ops::slice::Slice;

use super::{Builder, Case};

pub(super) fn cases() -> Result<Vec<Case>> {
    let relations = [Relation::Less, Relation::LessEqual, Relation::Equal, Relation::NotEqual];
    let mut cases = Vec::new();
    for relation in relations {
        let mut twice = Builder::new(&[&[3, 40]]);
        let first = twice.node(Slice { axis: 0, start: 0, end: 1, step: 1 }, &[twice.x(0)])?;
        let y = twice.node(Compare { relation }, &[twice.x(0), first])?;
        cases.push(twice.finish(&format!("compare_{relation:?}").to_lowercase(), &[y], 1.0, 0.0));
        let mut integers = Builder::new(&[]);
        let (a, b) = (integers.integers(&[5, 1, 8], -3..4), integers.integers(&[6, 8], -3..4));
        let y = integers.node(Compare { relation }, &[a, b])?;
        cases.push(integers.finish(&format!("compare_integers_{relation:?}").to_lowercase(), &[y], 1.0, 0.0));
    }
    Ok(cases)
}
