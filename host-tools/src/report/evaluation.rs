//! Accuracy of a `.teff` and of its float model on the same samples.

use anyhow::{Context, Result, ensure};
use ndarray::ArrayD;
use rayon::prelude::*;
use serde::Serialize;
use teff::Model;
use teff::format::{DataType, Storage};

use super::FloatModel;
use crate::calibrate::Samples;
use crate::data::Dataset;
use crate::interpreter::Interpreter;

/// What a data set says of a model.
#[derive(Debug, Clone, Serialize)]
pub struct Evaluation {
    /// See [`width_name`].
    pub activations: &'static str,
    /// Samples that were run.
    pub samples: usize,
    /// Of the `.teff`, if there are labels.
    pub teff: Option<Accuracy>,
    /// Of the float model, if there is one, and labels.
    pub float: Option<Accuracy>,
    /// How often both name the same class, if there is a float model and the output is a vector.
    pub agreement: Option<Accuracy>,
    /// Between the first outputs of both, if there is a float model.
    pub cosine: Option<Cosine>,
}

/// A share of samples.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Accuracy {
    /// Samples for which it holds.
    pub correct: usize,
    /// All samples.
    pub samples: usize,
    /// `correct / samples`.
    pub share: f64,
}

impl Accuracy {
    fn count(hits: impl Iterator<Item = bool>) -> Self {
        let (mut correct, mut samples) = (0, 0);
        for hit in hits {
            samples += 1;
            correct += usize::from(hit);
        }
        Self { correct, samples, share: correct as f64 / samples.max(1) as f64 }
    }
}

/// Cosine similarity over samples.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Cosine {
    /// Its mean.
    pub mean: f64,
    /// Its smallest value.
    pub min: f64,
}

/// What one sample gave.
struct Outcome {
    teff: Option<usize>,
    float: Option<usize>,
    cosine: Option<f64>,
}

/// Runs all samples of `data` through `model` and, if there is one, `float`, on all cores.
///
/// `tick` is called after each sample.
///
/// # Errors
/// If a sample cannot be read or run, or a label is no class of the model.
pub fn evaluate(
    model: &Model<'_>,
    float: Option<&FloatModel>,
    data: &Dataset,
    tick: &(dyn Fn() + Sync),
) -> Result<Evaluation> {
    let outcomes = (0..data.len()).into_par_iter().map_init(
        || Interpreter::new(model),
        |interpreter, index| {
            let outcome = outcome(interpreter, float, data, index).with_context(|| format!("sample {index}"))?;
            tick();
            Ok(outcome)
        },
    );
    let outcomes: Vec<Outcome> = outcomes.collect::<Result<_>>()?;
    let accuracy = |class: fn(&Outcome) -> Option<usize>| {
        let labels = data.labels()?;
        outcomes
            .iter()
            .map(class)
            .collect::<Option<Vec<usize>>>()
            .map(|classes| Accuracy::count(classes.iter().zip(labels).map(|(class, label)| class == label)))
    };
    let pairs: Option<Vec<bool>> = outcomes.iter().map(|o| Some(o.teff? == o.float?)).collect();
    let cosines: Option<Vec<f64>> = outcomes.iter().map(|o| o.cosine).collect();
    Ok(Evaluation {
        activations: width_name(model),
        samples: outcomes.len(),
        teff: accuracy(|o| o.teff),
        float: accuracy(|o| o.float),
        agreement: pairs.map(|pairs| Accuracy::count(pairs.into_iter())),
        cosine: cosines.map(|values| Cosine {
            mean: values.iter().sum::<f64>() / values.len().max(1) as f64,
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
        }),
    })
}

fn outcome(
    interpreter: &mut Interpreter<'_>,
    float: Option<&FloatModel>,
    data: &Dataset,
    index: usize,
) -> Result<Outcome> {
    let outputs = interpreter.run(&data.inputs(index)?)?;
    let output = outputs.first().context("the model has no output")?;
    let mut outcome = Outcome { teff: None, float: None, cosine: None };
    if is_vector(output.real.shape()) {
        if let Some(&label) = data.labels().and_then(|labels| labels.get(index)) {
            let classes = output.quantized.len();
            ensure!(label < classes, "label {label}, but output {} has {classes} classes", output.name);
        }
        outcome.teff = argmax(&output.quantized);
    } else {
        ensure!(
            data.labels().is_none(),
            "output {} of shape {:?} is no vector of classes: labels cannot be compared with it",
            output.name,
            output.real.shape()
        );
    }
    if let Some(float) = float {
        let outputs = float.run(&data.onnx_inputs(index)?)?;
        let float = outputs.first().context("the float model has no output")?;
        ensure!(
            float.shape() == output.real.shape(),
            "output {}: shape {:?} in the .teff, {:?} in the float model",
            output.name,
            output.real.shape(),
            float.shape()
        );
        outcome.cosine = Some(cosine(float, &output.real));
        outcome.float = outcome.teff.and_then(|_| argmax(&float.iter().copied().collect::<Vec<f32>>()));
    }
    Ok(outcome)
}

/// The activation types of a model: `int8`, `int16`, or both.
pub fn width_name(model: &Model<'_>) -> &'static str {
    let is = |data_type| {
        let tensors = (0..model.tensor_count()).filter_map(|index| model.tensor(index));
        tensors.filter(|tensor| tensor.storage != Storage::Constant).any(|tensor| tensor.data_type == data_type)
    };
    match (is(DataType::I8), is(DataType::I16)) {
        (true, true) => "int8 and int16",
        (false, true) => "int16",
        _ => "int8",
    }
}

/// Whether a tensor of this shape is a vector of classes: two elements or more along one axis.
pub fn is_vector(shape: &[usize]) -> bool {
    shape.iter().filter(|&&d| d != 1).count() == 1
}

/// Index of the largest element, the first of equal ones.
pub(crate) fn argmax<T: PartialOrd>(values: &[T]) -> Option<usize> {
    let first = (!values.is_empty()).then_some(0)?;
    Some((1..values.len()).fold(first, |best, i| if values[i] > values[best] { i } else { best }))
}

/// Cosine similarity; 1 for two vectors of zeros.
pub(crate) fn cosine(a: &ArrayD<f32>, b: &ArrayD<f32>) -> f64 {
    let dot = |x: &ArrayD<f32>, y: &ArrayD<f32>| -> f64 {
        x.iter().zip(y.iter()).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
    };
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms > 0.0 { dot(a, b) / norms } else { f64::from(u8::from(dot(a, a) == dot(b, b))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_first() {
        assert_eq!(argmax(&[1, 3, 3, 2]), Some(1));
        assert_eq!(argmax::<f32>(&[]), None);
        assert!(is_vector(&[1, 10]) && is_vector(&[1, 1, 4, 1]));
        assert!(!is_vector(&[1, 1]) && !is_vector(&[2, 3]));
    }

    #[test]
    fn cosine_of_like_vectors_is_one() {
        let v = |x: &[f32]| ndarray::arr1(x).into_dyn();
        assert!((cosine(&v(&[1.0, 2.0]), &v(&[2.0, 4.0])) - 1.0).abs() < 1e-12);
        assert_eq!(cosine(&v(&[0.0]), &v(&[0.0])), 1.0);
        assert_eq!(cosine(&v(&[0.0]), &v(&[1.0])), 0.0);
    }
}
