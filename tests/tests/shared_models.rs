//! Models that nobody here trained, against their stored float outputs. They lie beside the repository, in `../shared`;
//! where they do not, these tests say so.

use std::fs::File;
use std::path::Path;

use anyhow::{Result, ensure};
use ndarray::{ArrayD, Axis, IxDyn, OwnedRepr};
use ndarray_npy::NpzReader;
use rayon::prelude::*;
use teff_tests::run::{arg_max, cosine, run};
use teff_tools::calibrate::Method;
use teff_tools::convert::{Options, convert};
use teff_tools::import;
use teff_tools::ir::Graph;
use teff_tools::passes;
use teff_tools::quantize::Width;

fn load(path: &Path) -> Graph {
    let mut graph =
        import::load(path, &import::Options::default()).unwrap_or_else(|e| panic!("{}: {e:#}", path.display()));
    passes::run(&mut graph).unwrap_or_else(|e| panic!("{}: {e:#}", path.display()));
    graph
}

fn array(npz: &Path, name: &str) -> ArrayD<f32> {
    let mut reader = NpzReader::new(File::open(npz).unwrap()).unwrap();
    if let Ok(integers) = reader.by_name::<OwnedRepr<i64>, IxDyn>(name) {
        return integers.mapv(|i| i as f32);
    }
    reader.by_name(name).unwrap_or_else(|e| panic!("{}: {name}: {e}", npz.display()))
}

/// Axes in the device's order.
fn to_device(graph: &Graph, input: usize, x: ArrayD<f32>) -> ArrayD<f32> {
    match &graph.inputs[input].perm {
        Some(perm) => x.permuted_axes(perm.as_slice()).as_standard_layout().into_owned(),
        None => x,
    }
}

/// Axes in the order of the ONNX model.
fn to_onnx(graph: &Graph, output: usize, y: &ArrayD<f32>) -> ArrayD<f32> {
    match &graph.outputs[output].perm {
        Some(perm) => {
            let mut inverse = vec![0; perm.len()];
            perm.iter().enumerate().for_each(|(i, &p)| inverse[p] = i);
            y.clone().permuted_axes(inverse.as_slice()).as_standard_layout().into_owned()
        }
        None => y.clone(),
    }
}

/// The smallest cosine of an output and the stored float output, with activations of this width.
fn cosine_of(folder: &Path, name: &str, graph: &Graph, activations: Width) -> Result<f64> {
    let npz = folder.join(format!("{name}.npz"));
    let inputs: Vec<ArrayD<f32>> = (0..graph.inputs.len())
        .map(|i| to_device(graph, i, array(&npz, &format!("in_{}", graph.inputs[i].name))))
        .collect();
    let converted = convert(graph, &vec![inputs.clone()], &Options { activations, ..Options::default() }, &|| {})?;
    let outputs = run(&converted.file, &inputs)?;
    let mut smallest = 1.0_f64;
    for (i, y) in outputs.iter().enumerate() {
        let (found, expected) = (to_onnx(graph, i, y), array(&npz, &format!("out_{i}")));
        ensure!(found.len() == expected.len(), "output {i} has {} elements", found.len());
        smallest = smallest.min(cosine(&found, &expected));
    }
    Ok(smallest)
}

/// Least cosine with int16 activations.
const INT16: f64 = 0.999;

/// All of them convert.
#[test]
fn architectures_reach_their_cosine() {
    let Some(folder) = teff_tests::shared("architectures") else { return };
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .filter_map(|e| Some(e.ok()?.path()).filter(|p| p.extension().is_some_and(|e| e == "onnx")))
        .filter_map(|p| Some(p.file_stem()?.to_str()?.to_string()))
        .collect();
    names.sort();
    let rows: Vec<(String, Result<[f64; 2]>)> = names
        .into_par_iter()
        .map(|name| {
            let cosines = (|| {
                let mut graph = import::load(folder.join(format!("{name}.onnx")), &import::Options::default())?;
                passes::run(&mut graph)?;
                let cosine = |width| cosine_of(&folder, &name, &graph, width);
                Ok([cosine(Width::Int8).unwrap_or(f64::NAN), cosine(Width::Int16)?])
            })();
            (name, cosines)
        })
        .collect();
    let mut failures = Vec::new();
    println!("{:30} int8     int16", "smallest cosine of an output");
    for (name, cosines) in &rows {
        match cosines {
            Ok([int8, int16]) => println!("{name:30} {int8:.6} {int16:.6}"),
            Err(error) => println!("{name:30} {error:#}"),
        }
        if !cosines.as_ref().is_ok_and(|c| c[1] >= INT16) {
            failures.push(name);
        }
    }
    assert!(failures.is_empty(), "{failures:?}");
}

/// Top-1 of the int8 model equals that of the float model on all 16 stored inputs; of ic, whose inputs are random
/// noise and pictures of no class that it knows, on 15.
#[test]
fn float_models_of_mlperf_tiny_keep_their_answers() {
    let Some(folder) = teff_tests::shared("mlperf-tiny") else { return };
    let models = [
        ("kws", "kws_ref_model_float32", 16),
        ("vww", "vww_96_float32", 16),
        ("ic", "pretrainedResnet_float32", 15),
        ("sww", "str_ww_ref_model_float32", 16),
    ];
    for (key, name, least) in models {
        let graph = load(&folder.join(format!("{name}.onnx")));
        let npz = folder.join(format!("{key}_io.npz"));
        let (x, y) = (array(&npz, "x_f32"), array(&npz, "y_f32_ort"));
        let shape = graph.inputs[0].onnx_shape.clone();
        let sample = |i: usize| {
            let x = x.index_axis(Axis(0), i).to_owned().into_shape_with_order(shape.clone()).unwrap();
            vec![to_device(&graph, 0, x)]
        };
        let samples: Vec<Vec<ArrayD<f32>>> = (0..x.shape()[0]).map(sample).collect();
        let options = Options { method: Method::Auto, ..Options::default() };
        let converted = convert(&graph, &samples, &options, &|| {}).unwrap();
        let same = samples.iter().enumerate().filter(|(i, inputs)| {
            let found = &run(&converted.file, inputs).unwrap()[0];
            arg_max(found) == arg_max(y.index_axis(Axis(0), *i))
        });
        let same = same.count();
        println!("{key}: top-1 equal on {same} of {}", samples.len());
        assert!(same >= least, "{key}: {same}");
    }
}
