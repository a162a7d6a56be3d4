//! Running converted models on the host.

use anyhow::Result;
use ndarray::ArrayD;
use teff::Model;
use teff_tools::interpreter::Interpreter;

/// Runs `file` on real inputs in the device's layout; gives the real outputs, in the device's layout too.
///
/// # Errors
/// If the file does not verify, or an input has another number of elements.
pub fn run(file: &[u8], inputs: &[ArrayD<f32>]) -> Result<Vec<ArrayD<f32>>> {
    let model = Model::verify(file)?;
    let outputs = Interpreter::new(&model).run(inputs)?;
    Ok(outputs.into_iter().map(|output| output.device).collect())
}

/// Cosine of the angle between two tensors, seen as vectors; 1 if both are zero, 0 if one is.
pub fn cosine<'a>(a: impl IntoIterator<Item = &'a f32>, b: impl IntoIterator<Item = &'a f32>) -> f64 {
    let (mut dot, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (&a, &b) in a.into_iter().zip(b) {
        let (a, b) = (f64::from(a), f64::from(b));
        dot += a * b;
        aa += a * a;
        bb += b * b;
    }
    match (aa == 0.0, bb == 0.0) {
        (true, true) => 1.0,
        (false, false) => dot / (aa * bb).sqrt(),
        _ => 0.0,
    }
}

/// Index of the largest element.
pub fn arg_max<'a>(values: impl IntoIterator<Item = &'a f32>) -> usize {
    let pairs = values.into_iter().enumerate();
    pairs.fold((0, f32::NEG_INFINITY), |best, (i, &v)| if v > best.1 { (i, v) } else { best }).0
}
