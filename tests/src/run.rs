//! Running converted models on the host.

use anyhow::{Context, Result, ensure};
use ndarray::{ArrayD, IxDyn};
use teff::{Model, Session};
use teff_tools::aligned::AlignedBytes;

/// Runs `file` on real inputs in the device's layout; gives the real outputs, with the shapes of the tensors.
///
/// # Errors
/// If the file does not verify, or an input has another number of elements.
pub fn run(file: &[u8], inputs: &[ArrayD<f32>]) -> Result<Vec<ArrayD<f32>>> {
    let model = Model::verify(file)?;
    let entry = model.entry(0).context("no entry point")?;
    let mut memory = AlignedBytes::zeroed(model.memory_len());
    let mut session = Session::new(&model, &mut memory)?;
    for (i, (port, x)) in entry.inputs().zip(inputs).enumerate() {
        let tensor = port.tensor().context("no tensor")?;
        ensure!(tensor.write_reals(session.input(i)?, x.iter().copied()), "input {i} has another number of elements");
    }
    session.run()?;
    let real = |(i, port): (usize, teff::format::Port<'_>)| {
        let tensor = port.tensor().context("no tensor")?;
        let values = tensor.read_reals(session.output(i)?).collect();
        let shape: Vec<usize> = tensor.shape.iter().map(|&d| d as usize).collect();
        Ok(ArrayD::from_shape_vec(IxDyn(&shape), values)?)
    };
    entry.outputs().enumerate().map(real).collect()
}

/// Cosine of the angle between two tensors, seen as vectors; 1 if both are zero.
pub fn cosine<'a>(a: impl IntoIterator<Item = &'a f32>, b: impl IntoIterator<Item = &'a f32>) -> f64 {
    let (mut dot, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (&a, &b) in a.into_iter().zip(b) {
        let (a, b) = (f64::from(a), f64::from(b));
        dot += a * b;
        aa += a * a;
        bb += b * b;
    }
    if aa == 0.0 && bb == 0.0 { 1.0 } else { dot / (aa * bb).sqrt() }
}

/// Index of the largest element.
pub fn arg_max<'a>(values: impl IntoIterator<Item = &'a f32>) -> usize {
    let pairs = values.into_iter().enumerate();
    pairs.fold((0, f32::NEG_INFINITY), |best, (i, &v)| if v > best.1 { (i, v) } else { best }).0
}
