//! Golden cases of index_arithmetic.

use anyhow::Result;
use teff::kernels::index::Arithmetic;
use teff_tools::ops::index_arithmetic::IndexArithmetic;

use super::{Builder, Case};

pub(super) fn cases() -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for operation in (0..8).filter_map(Arithmetic::from_code) {
        let mut g = Builder::new(&[]);
        let (a, b) = (g.integers(&[5, 1], -99..99), g.integers(&[6], 1..20));
        let y = g.node(IndexArithmetic { operation }, &[a, b])?;
        cases.push(g.finish(&format!("index_{operation:?}").to_lowercase(), &[y], 1.0, 0.0));
    }
    Ok(cases)
}
