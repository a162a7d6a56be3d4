//! Golden cases of fully_connected.

use anyhow::Result;
use teff_tools::ops::clamp::Clamp;
use teff_tools::ops::fully_connected::FullyConnected;

use super::{Builder, Case, wide};

fn case(name: &str, clamp: Option<Clamp>, x: &[usize], outputs: usize) -> Result<Case> {
    let mut b = Builder::new(&[x]);
    let w = b.constant(&[outputs, x[x.len() - 1]], 0.3);
    let bias = b.constant(&[outputs], 0.5);
    let y = b.node(FullyConnected { clamp }, &[b.x(0), w, bias])?;
    Ok(b.finish(name, &[y], 2.0, 2.0))
}

pub(super) fn cases() -> Result<Vec<Case>> {
    Ok(vec![
        case("fully_connected", None, &[1, 33], 10)?,
        case("fully_connected_relu", Some(Clamp::RELU), &[1, 500], 13)?,
        wide("filter_bank", FullyConnected { clamp: None }, &[&[3, 40]], Some(&[6, 40]))?,
        case("fully_connected_rows", None, &[2, 5, 16], 7)?,
    ])
}
