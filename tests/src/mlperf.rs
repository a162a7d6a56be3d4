//! The five models of MLPerf Tiny, converted: from their float form, calibrated on their stored inputs, and some as they were quantized
//! for TensorFlow Lite; one in bands of rows, one as a stream.

use std::fs::File;
use std::path::Path;

use anyhow::Result;
use ndarray::{ArrayD, Axis};
use ndarray_npy::NpzReader;
use teff_tools::aligned::AlignedBytes;
use teff_tools::convert::{Options, convert};
use teff_tools::stream::Stream;
use teff_tools::{import, passes};

/// Key, and file of the model.
pub const MODELS: [(&str, &str); 12] = [
    ("kws", "kws_ref_model_float32.onnx"),
    ("vww", "vww_96_float32.onnx"),
    ("ic", "pretrainedResnet_float32.onnx"),
    ("ad", "ad01_float32.onnx"),
    ("sww", "str_ww_ref_model_float32.onnx"),
    ("kws-int8", "kws_ref_model.tflite"),
    ("vww-int8", "vww_96_int8.tflite"),
    ("ic-int8", "pretrainedResnet_quant.tflite"),
    ("ad-int8", "ad01_int8.tflite"),
    ("sww-int8", "str_ww_ref_model.tflite"),
    ("vww-32k", "vww_96_float32.onnx"),
    ("sww-stream", "str_ww_ref_model.tflite"),
];

/// The model as the converter makes it; a number behind its key is the most KB of arena.
pub fn converted(folder: &Path, key: &str, name: &str) -> AlignedBytes {
    let limit =
        key.strip_suffix('k').and_then(|key| key.rsplit_once('-')).map(|(_, kb)| kb.parse::<usize>().expect("KB"));
    within(folder, key, name, limit.map(|kb| kb << 10)).expect("the model converts")
}

/// The model with an arena of at most so many bytes.
///
/// # Errors
/// If there is no plan with one so small.
pub fn within(folder: &Path, key: &str, name: &str, max_arena: Option<usize>) -> Result<AlignedBytes> {
    let path = folder.join(name);
    let mut graph = import::load(&path, &import::Options::default()).expect("the model is read");
    passes::run(&mut graph).expect("the passes run");
    // One new frame a run.
    let stream =
        key.ends_with("-stream").then(|| Stream { input: graph.inputs[0].name.clone(), shape: vec![1, 1, 1, 40] });
    let options = Options { max_arena, stream, ..Options::default() };
    if name.ends_with(".tflite") {
        let nothing: Vec<Vec<ArrayD<f32>>> = Vec::new();
        return Ok(convert(&graph, &nothing, &options, &|| {})?.file);
    }
    let data = key.split('-').next().unwrap_or(key);
    let mut npz = NpzReader::new(File::open(folder.join(format!("{data}_io.npz"))).expect("inputs")).expect("an npz");
    let x: ArrayD<f32> = npz.by_name("x_f32").expect("inputs of float32");
    let to_device = |x: ArrayD<f32>| match &graph.inputs[0].perm {
        Some(perm) => x.permuted_axes(perm.as_slice()).as_standard_layout().into_owned(),
        None => x,
    };
    let samples: Vec<Vec<ArrayD<f32>>> =
        x.outer_iter().map(|x| vec![to_device(x.to_owned().insert_axis(Axis(0)))]).collect();
    Ok(convert(&graph, &samples, &options, &|| {})?.file)
}
