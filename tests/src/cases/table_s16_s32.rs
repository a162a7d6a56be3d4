//! Golden cases of table_s16_s32: functions whose sums enter a logarithm.

use anyhow::Result;
use teff_tools::ops::function::Function;
use teff_tools::ops::reduce_sum::ReduceSum;
use teff_tools::ops::table::Table;

use super::{Builder, Case};

fn case(name: &str, function: Function, scale: f32) -> Result<Case> {
    let mut b = Builder::new(&[&[3, 40]]);
    let power = b.node(Table { function }, &[b.x(0)])?;
    let sum = b.node(ReduceSum { axes: vec![1] }, &[power])?;
    let y = b.node(Table { function: Function::Ln }, &[sum])?;
    Ok(b.finish(name, &[y], scale, 8.0))
}

pub(super) fn cases() -> Result<Vec<Case>> {
    Ok(vec![case("log_of_power", Function::Square, 3.0)?, case("log_of_exponentials", Function::Exp, 4.0)?])
}
