//! Golden cases of resample2d.

use anyhow::Result;
use teff_tools::ops::resample2d::{Resample2d, Taps};

use super::{Case, unary};

/// Linear interpolation of `from` elements to `to`, ends aligned.
fn linear(from: usize, to: usize) -> Taps {
    let at = |i: usize| i as f64 * (from - 1) as f64 / (to - 1) as f64;
    Taps::new((0..to).map(|i| {
        let (floor, part) = (at(i).floor() as usize, at(i).fract());
        vec![(floor, 1.0 - part), ((floor + 1).min(from - 1), part)]
    }))
}

pub(super) fn cases() -> Result<Vec<Case>> {
    let nearest = |from: usize, to: usize| Taps::new((0..to).map(|i| vec![(i * from / to, 1.0)]));
    let reflected = Taps::new([2, 1, 0, 1, 2, 3, 2].map(|i| vec![(i, 1.0)]));
    let cubic = Taps::new((1..4).map(|i| vec![(i - 1, -0.1), (i, 0.6), (i + 1, 0.6), (i + 2, -0.1)]));
    let double = Resample2d { rows: nearest(4, 8), columns: nearest(5, 10) };
    let linear = Resample2d { rows: linear(4, 9), columns: linear(5, 3) };
    let mixed = Resample2d { rows: reflected, columns: cubic };
    Ok(vec![
        unary("resample2d_nearest", double, &[1, 4, 5, 3], 0.01)?,
        unary("resample2d_linear", linear, &[2, 4, 5, 7], 0.51)?,
        unary("resample2d_reflected_cubic", mixed, &[1, 4, 6, 2], 0.51)?,
    ])
}
