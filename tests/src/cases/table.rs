//! Golden cases of table.

use anyhow::Result;
use teff_tools::ops::function::Function;
use teff_tools::ops::table::Table;

use super::{Case, unary};

pub(super) fn cases() -> Result<Vec<Case>> {
    let functions = [
        ("leaky_relu", Function::LeakyRelu { alpha: 0.1 }),
        ("hard_swish", Function::HardSwish),
        ("hard_sigmoid", Function::HardSigmoid { alpha: 0.2, beta: 0.5 }),
        ("sigmoid", Function::Sigmoid),
        ("tanh", Function::Tanh),
    ];
    functions.into_iter().map(|(name, function)| unary(name, Table { function }, &[2, 67], 0.51)).collect()
}
