//! Golden cases of table_s32_s16: functions of the power of a signal.

use anyhow::Result;
use teff_tools::ops::add::Add;
use teff_tools::ops::function::Function;
use teff_tools::ops::sub::Sub;
use teff_tools::ops::table::Table;

use super::{Builder, Case};

fn case(name: &str, sum: impl Into<teff_tools::ops::Op>, function: Function, steps: f32) -> Result<Case> {
    let mut b = Builder::new(&[&[4, 9], &[4, 9]]);
    let [re, im] = [0, 1].map(|i| b.node(Table { function: Function::Square }, &[b.x(i)]));
    let power = b.node(sum, &[re?, im?])?;
    let y = b.node(Table { function }, &[power])?;
    Ok(b.finish(name, &[y], 2.0, steps))
}

pub(super) fn cases() -> Result<Vec<Case>> {
    use teff_tools::ops::expr::Expr;
    // A root of what may be negative, of the sign of its argument.
    let root = |x: Expr| Expr::Apply(Function::Sqrt, Box::new(Expr::Apply(Function::Abs, Box::new(x))));
    let signed = root(Expr::X).of(&Expr::X.plus(4.0));
    Ok(vec![
        case("magnitude", Add { clamp: None }, Function::Sqrt, 24.0)?,
        case("root_of_a_difference", Sub { clamp: None }, Function::Composite(Box::new(signed)), 24.0)?,
    ])
}
