//! PRelu.

use anyhow::Result;

use super::opaque::Call;
use super::typed::{Importer, floats};
use crate::ir::ValueId;
use crate::ops::{add::Add, clamp::Clamp, function::Function, mul::Mul, prelu::PRelu, table::Table};

pub(super) fn import(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<ValueId>> {
    let x = call.value(importer, 0)?;
    let Ok(slope) = call.constant(1) else {
        // Slopes that are computed: max(x, 0) + slope·min(x, 0).
        let (name, slope) = (call.name(), call.value(importer, 1)?);
        let part = |min, max| Clamp { min, max };
        let above = importer.push(&format!("{name}.above"), part(0.0, f32::INFINITY), &[x])?;
        let below = importer.push(&format!("{name}.below"), part(f32::NEG_INFINITY, 0.0), &[x])?;
        let below = importer.push(&format!("{name}.slope"), Mul { clamp: None }, &[below, slope])?;
        return Ok(vec![importer.push(name, Add { clamp: None }, &[above, below])?]);
    };
    let slope = floats(slope)?;
    let first = slope.iter().next().copied();
    if let Some(alpha) = first.filter(|&f| slope.iter().all(|&s| s == f)) {
        let table = Table { function: Function::LeakyRelu { alpha } };
        return Ok(vec![importer.push(call.name(), table, &[x])?]);
    }
    let slope = importer.graph.constant(format!("{}.slope", call.name()), slope);
    Ok(vec![importer.push(call.name(), PRelu, &[x, slope])?])
}
