//! Models that nobody here trained, against their stored float outputs. They lie beside the repository, in `../shared`;
//! where they do not, these tests say so.

use std::fs::File;
use std::path::Path;

use ndarray::{ArrayD, Axis};
use ndarray_npy::NpzReader;
use teff_tests::run::{arg_max, cosine, run};
use teff_tools::calibrate::Method;
use teff_tools::convert::{Options, convert};
use teff_tools::import;
use teff_tools::ir::Graph;
use teff_tools::passes;

fn load(path: &Path) -> Graph {
    let mut graph =
        import::load(path, &import::Options::default()).unwrap_or_else(|e| panic!("{}: {e:#}", path.display()));
    passes::run(&mut graph).unwrap_or_else(|e| panic!("{}: {e:#}", path.display()));
    graph
}

fn array(npz: &Path, name: &str) -> ArrayD<f32> {
    let mut reader = NpzReader::new(File::open(npz).unwrap()).unwrap();
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

/// Cosine of the int8 outputs and the stored float outputs, over all outputs.
fn int8_cosine(folder: &Path, name: &str) -> f64 {
    let graph = load(&folder.join(format!("{name}.onnx")));
    let npz = folder.join(format!("{name}.npz"));
    let inputs: Vec<ArrayD<f32>> = (0..graph.inputs.len())
        .map(|i| to_device(&graph, i, array(&npz, &format!("in_{}", graph.inputs[i].name))))
        .collect();
    let converted = convert(&graph, &vec![inputs.clone()], &Options::default(), &|| {}).unwrap();
    let outputs = run(&converted.file, &inputs).unwrap();
    let (mut found, mut expected) = (Vec::new(), Vec::new());
    for (i, y) in outputs.iter().enumerate() {
        found.extend(to_onnx(&graph, i, y).iter().copied());
        expected.extend(array(&npz, &format!("out_{i}")).iter().copied());
    }
    assert_eq!(found.len(), expected.len(), "{name}");
    cosine(&found, &expected)
}

#[test]
fn architectures_of_the_first_release_reach_their_cosine() {
    let Some(folder) = teff_tests::shared("architectures") else { return };
    for name in ["lightcnn_14862", "lightcnn_cifar_19622", "vibration_spectrogram_cnn"] {
        let cosine = int8_cosine(&folder, name);
        println!("{name}: cosine {cosine:.6}");
        assert!(cosine >= 0.999, "{name}: {cosine:.6}");
    }
}

/// Top-1 of the int8 model equals that of the float model on all 16 stored inputs; of ic, whose inputs are random
/// noise and pictures of no class that it knows, on 14.
#[test]
fn float_models_of_mlperf_tiny_keep_their_answers() {
    let Some(folder) = teff_tests::shared("mlperf-tiny") else { return };
    let models = [
        ("kws", "kws_ref_model_float32", 16),
        ("vww", "vww_96_float32", 16),
        ("ic", "pretrainedResnet_float32", 14),
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
        // Sixteen samples are few: the range with the least squared error serves them best.
        let options = Options { method: Method::Mse, ..Options::default() };
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
