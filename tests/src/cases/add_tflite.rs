//! Golden cases of add_tflite.

use anyhow::Result;
use teff_tools::ops::add::Add;
use teff_tools::ops::clamp::Clamp;
use teff_tools::ops::sub::Sub;

use super::{Builder, Case, for_tflite};

pub(super) fn cases() -> Result<Vec<Case>> {
    let shapes: &[&[usize]] = &[&[1, 5, 4, 3], &[1, 5, 4, 3]];
    let mut sum = Builder::new(shapes);
    let y = sum.node(Add { clamp: None }, &[sum.x(0), sum.x(1)])?;
    let mut swapped = Builder::new(shapes);
    let z = swapped.node(Add { clamp: Some(Clamp::RELU) }, &[swapped.x(1), swapped.x(0)])?;
    let mut difference = Builder::new(&[&[2, 3, 7], &[7]]);
    let d = difference.node(Sub { clamp: None }, &[difference.x(0), difference.x(1)])?;
    let mut other = Builder::new(&[&[7], &[2, 3, 7]]);
    let o = other.node(Sub { clamp: None }, &[other.x(1), other.x(0)])?;
    let mut alike = Builder::new(&[&[9, 3]]);
    let a = alike.node(Add { clamp: None }, &[alike.x(0), alike.x(0)])?;
    Ok(vec![
        for_tflite("add_tflite", sum, y, 0.041, 0.51),
        for_tflite("add_tflite_relu", swapped, z, 0.027, 0.51),
        for_tflite("sub_tflite", difference, d, 0.037, 0.51),
        for_tflite("sub_tflite_swapped", other, o, 0.039, 0.51),
        for_tflite("add_tflite_to_itself", alike, a, 0.0625, 0.51),
    ])
}
