//! Data sets: samples on disk as the inputs of a model.
//!
//! A set is an `.npz`, a folder of `.npy` or of PNG/JPEG pictures, or a single file; see [`Dataset::open`]. Samples come
//! in the ONNX layout or in the device's, whichever their shape fits, and leave in either, so that the integer model
//! and the float model see the same numbers.
//!
//! Invariant: a shape that fits neither layout is an error that names the file, the array and both shapes; nothing is
//! reshaped on a guess.

mod array;
mod folder;
mod layout;
mod preprocess;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use ndarray::{ArrayD, Axis};

use crate::calibrate::Samples;
use array::{ArrayFile, Values};
use folder::Folder;
pub use layout::{ImageAxes, InputSpec};
pub use preprocess::Preprocess;

/// Name of the array of labels in an `.npz`.
const LABELS: &str = "y";
/// Name of the array of samples in an `.npz`.
const SAMPLES: &str = "x";

/// Samples, with labels if there are any.
pub struct Dataset {
    path: PathBuf,
    inputs: Vec<InputSpec>,
    content: Content,
    len: usize,
    labels: Option<Vec<usize>>,
    preprocess: Option<Preprocess>,
}

/// Where samples come from.
enum Content {
    /// For each input an array whose first axis is the sample.
    Stacked(Vec<Values>),
    /// A file for each sample of a model with one input; whether they all hold pixels.
    Files { paths: Vec<PathBuf>, pixels: bool },
}

impl Dataset {
    /// Opens the set at `path` for a model with these inputs:
    ///
    /// * `.npz`: arrays of the names of the inputs, with or without `in_` before them; for a single input also `x`, or
    ///   the only array there is. The first axis is the sample; arrays of the very shapes of all inputs are one sample.
    ///   Array `y`, if there and no input, holds the labels.
    /// * a folder of `.npy` or of PNG/JPEG: a file a sample, in the order of their names. Subfolders are classes:
    ///   those called like one of `classes` (the model's labels) have its index, else they count in the order of
    ///   their names.
    /// * a single `.npy` or picture: one sample, or an `.npy` of many.
    ///
    /// Unsigned bytes and pictures are pixels, and go through `preprocess`; floats and wider integers go straight to the model.
    ///
    /// # Errors
    /// If there is no such set, it is empty, or it does not fit the inputs.
    pub fn open(path: &Path, inputs: Vec<InputSpec>, preprocess: Option<Preprocess>, classes: &[&str]) -> Result<Self> {
        let what = path.display();
        ensure!(path.exists(), "{what}: no such file or folder");
        let mut set = Self {
            path: path.to_path_buf(),
            inputs,
            content: Content::Stacked(Vec::new()),
            len: 0,
            labels: None,
            preprocess,
        };
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        if path.is_dir() {
            let folder = Folder::list(path, classes)?;
            set.labels = folder.labels;
            set.open_files(folder.files)?;
        } else if extension == "npz" {
            set.open_npz()?;
        } else if extension == "npy" {
            set.open_npy()?;
        } else if folder::is_picture(path) {
            set.open_files(vec![path.to_path_buf()])?;
        } else {
            bail!("{what}: not a data set: wanted .npz, .npy, .png, .jpg, or a folder of .npy or pictures");
        }
        ensure!(set.len > 0, "{what}: holds no samples");
        if let Some(labels) = &set.labels {
            ensure!(labels.len() == set.len, "{what}: {} labels for {} samples", labels.len(), set.len);
        }
        if set.has_pixels() {
            set.check_preprocess()?;
        }
        // The first sample stands for all: most mistakes of shape show here, before any long work.
        set.inputs(0)?;
        Ok(set)
    }

    fn open_npz(&mut self) -> Result<()> {
        let mut file = ArrayFile::open(&self.path)?;
        let names = self.array_names(file.names())?;
        let mut arrays = names.iter().map(|name| file.values(name)).collect::<Result<Vec<Values>>>()?;
        let stacked =
            |(input, x): (&InputSpec, &Values)| x.shape().split_first().is_some_and(|(_, sample)| input.fits(sample));
        let single = |(input, x): (&InputSpec, &Values)| input.fits(x.shape());
        if !self.inputs.iter().zip(&arrays).all(stacked) && self.inputs.iter().zip(&arrays).all(single) {
            // One sample, each array of the shape of its input.
            arrays = arrays.into_iter().map(Values::insert_axis).collect();
        }
        for ((input, values), name) in self.inputs.iter().zip(&arrays).zip(&names) {
            self.check_stacked(input, values.shape(), &file.describe(name))?;
        }
        let labelled = file.names().iter().any(|n| n == LABELS) && !names.iter().any(|n| n == LABELS);
        self.labels = match labelled {
            true => Some(file.labels(LABELS)?),
            false => None,
        };
        self.len = arrays[0].shape()[0];
        for (name, values) in names.iter().zip(&arrays) {
            let found = values.shape()[0];
            ensure!(found == self.len, "{}: {found} samples, but {} has {}", file.describe(name), names[0], self.len);
        }
        self.content = Content::Stacked(arrays);
        Ok(())
    }

    /// The array of each input.
    fn array_names(&self, present: &[String]) -> Result<Vec<String>> {
        let what = self.path.display();
        let has = |name: &String| present.contains(name);
        let wanted: Vec<String> = self.inputs.iter().map(|input| input.name.clone()).collect();
        let prefixed: Vec<String> = wanted.iter().map(|name| format!("in_{name}")).collect();
        for names in [&wanted, &prefixed] {
            if names.iter().all(has) {
                return Ok(names.clone());
            }
        }
        let found = if present.is_empty() { "none".to_string() } else { present.join(", ") };
        let names = wanted.join(", ");
        ensure!(
            wanted.len() == 1,
            "{what}: the model has {} inputs, so the set needs arrays of their names: {names}; found: {found}",
            wanted.len()
        );
        let samples = SAMPLES.to_string();
        if has(&samples) {
            return Ok(vec![samples]);
        }
        let others: Vec<&String> = present.iter().filter(|name| *name != LABELS).collect();
        match others.as_slice() {
            [only] => Ok(vec![(*only).clone()]),
            _ => bail!("{what}: no array called {SAMPLES} or as the input, {names}; found: {found}"),
        }
    }

    fn check_stacked(&self, input: &InputSpec, shape: &[usize], what: &str) -> Result<()> {
        let fits = shape.split_first().is_some_and(|(_, sample)| input.fits(sample));
        ensure!(fits, "{what}: shape {shape:?}; input {} wants samples × {}", input.name, input.wanted());
        Ok(())
    }

    /// One sample, or many along the first axis.
    fn open_npy(&mut self) -> Result<()> {
        let input = self.single_input()?;
        let mut file = ArrayFile::open(&self.path)?;
        let values = file.values("")?;
        let values = match input.fits(values.shape()) {
            true => values.insert_axis(),
            false => values,
        };
        let what = file.describe("");
        let fits = values.shape().split_first().is_some_and(|(_, sample)| input.fits(sample));
        ensure!(
            fits,
            "{what}: shape {:?}; input {} wants {}, or samples × that",
            values.shape(),
            input.name,
            input.wanted()
        );
        self.len = values.shape()[0];
        self.content = Content::Stacked(vec![values]);
        Ok(())
    }

    fn open_files(&mut self, paths: Vec<PathBuf>) -> Result<()> {
        self.single_input()?;
        self.len = paths.len();
        let pixels = match paths.first() {
            Some(first) if !folder::is_picture(first) => ArrayFile::open(first)?.values("")?.is_pixels(),
            _ => true,
        };
        self.content = Content::Files { paths, pixels };
        Ok(())
    }

    fn single_input(&self) -> Result<&InputSpec> {
        let what = self.path.display();
        match self.inputs.as_slice() {
            [input] => Ok(input),
            inputs => {
                let names: Vec<&str> = inputs.iter().map(|i| i.name.as_str()).collect();
                bail!(
                    "{what}: the model has {} inputs: give an .npz with an array for each: {}",
                    names.len(),
                    names.join(", ")
                )
            }
        }
    }

    /// That pixels can be preprocessed for every input that has them.
    fn check_preprocess(&self) -> Result<()> {
        let what = self.path.display();
        let Some(preprocess) = &self.preprocess else {
            bail!(
                "{what}: holds pixels, but the model was calibrated on floats and does not say how pixels become its \
                 input: give --mean and --std (0 and 1 for pixel / 255)"
            );
        };
        (0..self.inputs.len())
            .filter(|&i| self.input_is_pixels(i))
            .try_for_each(|i| preprocess.check(&self.inputs[i]))
            .with_context(|| what.to_string())
    }

    /// The path it was opened from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's or folder's name.
    pub fn name(&self) -> String {
        let name = self.path.file_name().map(|name| name.to_string_lossy().into_owned());
        name.unwrap_or_else(|| self.path.display().to_string())
    }

    /// The model's inputs.
    pub fn specs(&self) -> &[InputSpec] {
        &self.inputs
    }

    /// Each sample's class, if the set says it.
    pub fn labels(&self) -> Option<&[usize]> {
        self.labels.as_deref()
    }

    /// Keeps the first `len` samples.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        if let Some(labels) = &mut self.labels {
            labels.truncate(len);
        }
    }

    /// Whether any input comes from pixels.
    pub fn has_pixels(&self) -> bool {
        (0..self.inputs.len()).any(|i| self.input_is_pixels(i))
    }

    /// Whether input `index` comes from pixels.
    pub fn input_is_pixels(&self, index: usize) -> bool {
        match &self.content {
            Content::Stacked(arrays) => arrays.get(index).is_some_and(Values::is_pixels),
            Content::Files { pixels, .. } => *pixels,
        }
    }

    /// The sample in the ONNX model's layout, for the float model.
    ///
    /// # Errors
    /// As [`Samples::inputs`].
    pub fn onnx_inputs(&self, index: usize) -> Result<Vec<ArrayD<f32>>> {
        let inputs = self.inputs(index)?;
        Ok(self.inputs.iter().zip(inputs).map(|(spec, x)| spec.to_onnx(x)).collect())
    }

    /// One sample of one input: numbers of an array, in the device's layout, preprocessed if they are pixels.
    fn prepare(&self, input: &InputSpec, values: Values, what: &str) -> Result<ArrayD<f32>> {
        let found = values.shape().to_vec();
        let refuse = || format!("{what}: shape {found:?}; input {} wants {}", input.name, input.wanted());
        match values {
            Values::Real(x) => input.to_device(x).with_context(refuse),
            Values::Pixels(x) => {
                let preprocess = self.preprocess.as_ref().context("pixels without preprocessing")?;
                Ok(preprocess.apply(input, &input.to_device(x).with_context(refuse)?))
            }
        }
    }

    fn file_sample(&self, path: &Path, pixels: bool) -> Result<ArrayD<f32>> {
        let (input, what) = (self.single_input()?, path.display().to_string());
        if folder::is_picture(path) {
            let preprocess = self.preprocess.as_ref().context("pictures without preprocessing")?;
            return preprocess.picture(input, path);
        }
        let values = ArrayFile::open(path)?.values("")?;
        ensure!(values.is_pixels() == pixels, "{what}: bytes and floats in one set: store all samples alike");
        self.prepare(input, values, &what)
    }
}

impl Samples for Dataset {
    fn len(&self) -> usize {
        self.len
    }

    fn inputs(&self, index: usize) -> Result<Vec<ArrayD<f32>>> {
        ensure!(index < self.len, "{}: no sample {index}", self.path.display());
        match &self.content {
            Content::Files { paths, pixels } => Ok(vec![self.file_sample(&paths[index], *pixels)?]),
            Content::Stacked(arrays) => {
                let sample = |(input, values): (&InputSpec, &Values)| {
                    let what = format!("{}: sample {index}", self.path.display());
                    self.prepare(input, values.at(Axis(0), index), &what)
                };
                self.inputs.iter().zip(arrays).map(sample).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests;
