//! Golden cases of avg_pool2d_tflite.

use anyhow::Result;
use teff_tools::ops::avg_pool2d::AvgPool2d;

use super::{Builder, Case, for_tflite};

pub(super) fn cases() -> Result<Vec<Case>> {
    let pool = AvgPool2d { kernel: [2, 2], stride: [2, 2], pad: [0; 4], count_include_pad: false };
    let padded = AvgPool2d { kernel: [3, 3], pad: [1; 4], ..pool.clone() };
    let mut plain = Builder::new(&[&[1, 8, 9, 5]]);
    let y = plain.node(pool, &[plain.x(0)])?;
    let mut excluded = Builder::new(&[&[2, 7, 7, 3]]);
    let z = excluded.node(padded, &[excluded.x(0)])?;
    // Halves go away from the integer 0, which stands for another number than 0.
    Ok(vec![
        for_tflite("avg_pool2d_tflite", plain, y, 1.0 / 32.0, 1.01),
        for_tflite("avg_pool2d_tflite_exclude_pad", excluded, z, 1.0 / 32.0, 1.01),
    ])
}
