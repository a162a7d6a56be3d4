//! Models that others quantized: the MLPerf Tiny reference models in int8, against the outputs of TensorFlow Lite Micro.
//!
//! They lie beside the repository, in `../shared/mlperf-tiny`; where they do not, these tests say so.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use ndarray::{Array2, ArrayD, Axis};
use ndarray_npy::{NpzReader, ReadableElement};
use teff::{Model, Session};
use teff_tools::aligned::AlignedBytes;
use teff_tools::convert::{Options, convert};
use teff_tools::import;
use teff_tools::ir::{Graph, Port};
use teff_tools::ops::Op;
use teff_tools::passes;

/// The int8 models: key, ONNX file, TensorFlow Lite file.
const MODELS: [(&str, &str, &str); 5] = [
    ("kws", "kws_ref_model_int8_qdq", "kws_ref_model"),
    ("vww", "vww_96_int8_qdq", "vww_96_int8"),
    ("ic", "pretrainedResnet_int8_qdq", "pretrainedResnet_quant"),
    ("ad", "ad01_int8_qdq", "ad01_int8"),
    ("sww", "str_ww_ref_model_int8_qdq", "str_ww_ref_model"),
];

fn load(path: &Path) -> Graph {
    let mut graph =
        import::load(path, &import::Options::default()).unwrap_or_else(|e| panic!("{}: {e:#}", path.display()));
    passes::run(&mut graph).unwrap_or_else(|e| panic!("{}: {e:#}", path.display()));
    graph
}

fn array<T: ReadableElement>(npz: &Path, name: &str) -> ArrayD<T> {
    let mut reader = NpzReader::new(File::open(npz).unwrap()).unwrap();
    reader.by_name(name).unwrap_or_else(|e| panic!("{}: {name}: {e}", npz.display()))
}

/// The graph up to the operand of its softmax, if it ends in one.
fn logits(graph: &Graph) -> Option<Graph> {
    let last = graph.nodes.last()?;
    matches!(last.op, Op::Softmax(_)).then(|| {
        let mut graph = graph.clone();
        let value = last.inputs[0];
        let onnx_shape = graph.value(value).shape.clone();
        graph.outputs = vec![Port { value, name: "logits".into(), onnx_shape, perm: None }];
        graph.nodes.pop();
        graph
    })
}

/// Converts without a calibration set and runs on stored int8 inputs, one row each.
fn run(graph: &Graph, inputs: &ArrayD<i8>) -> Array2<i8> {
    let nothing: Vec<Vec<ArrayD<f32>>> = Vec::new();
    let converted = convert(graph, &nothing, &Options::default(), &|| {}).unwrap_or_else(|e| panic!("{e:#}"));
    let model = Model::verify(&converted.file).unwrap();
    let mut memory = AlignedBytes::zeroed(model.memory_len());
    let mut session = Session::new(&model, &mut memory).unwrap();
    let port = &graph.inputs[0];
    let rows: Vec<Vec<i8>> = inputs
        .axis_iter(Axis(0))
        .map(|x| {
            let x = x.to_owned().into_shape_with_order(port.onnx_shape.clone()).unwrap();
            let x = match &port.perm {
                Some(perm) => x.permuted_axes(perm.as_slice()),
                None => x,
            };
            let bytes: Vec<i8> = x.iter().copied().collect();
            session.input_i8(0).unwrap().copy_from_slice(&bytes);
            session.run().unwrap();
            session.output_i8(0).unwrap().to_vec()
        })
        .collect();
    let width = rows[0].len();
    Array2::from_shape_vec((rows.len(), width), rows.concat()).unwrap()
}

/// Largest difference, how many differ, and how many by more than 1.
fn differences(found: &Array2<i8>, expected: &Array2<i8>) -> (i32, usize, usize) {
    assert_eq!(found.shape(), expected.shape());
    let steps = found.iter().zip(expected).map(|(&a, &b)| (i32::from(a) - i32::from(b)).abs());
    steps.fold((0, 0, 0), |(largest, some, more), d| {
        (largest.max(d), some + usize::from(d > 0), more + usize::from(d > 1))
    })
}

fn top(row: ndarray::ArrayView1<i8>) -> usize {
    (0..row.len()).rev().max_by_key(|&i| row[i]).unwrap()
}

/// The logits that TensorFlow Lite Micro computes for the stored inputs; the golden file says how it was made.
fn tflm_logits() -> HashMap<String, Array2<i8>> {
    let text = std::fs::read_to_string(teff_tests::root().join("tests/goldens/mlperf-tiny-logits.txt")).unwrap();
    let mut rows: HashMap<String, Vec<Vec<i8>>> = HashMap::new();
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let (key, values) = line.split_once(':').unwrap();
        let key = key.split_once(' ').unwrap().0;
        rows.entry(key.to_string()).or_default().push(values.split_whitespace().map(|v| v.parse().unwrap()).collect());
    }
    let stacked = |(key, rows): (String, Vec<Vec<i8>>)| {
        (key, Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).unwrap())
    };
    rows.into_iter().map(stacked).collect()
}

#[test]
fn int8_models_of_mlperf_tiny_agree_with_tflite_micro() {
    let Some(folder) = teff_tests::shared("mlperf-tiny") else { return };
    let logits_of = tflm_logits();
    for (key, name, _) in MODELS {
        let graph = load(&folder.join(format!("{name}.onnx")));
        let npz = folder.join(format!("{key}_io.npz"));
        let x = array::<i8>(&npz, "x_int8");
        let expected = array::<i8>(&npz, "y_int8_tflm");
        let expected = expected.to_shape((x.shape()[0], expected.len() / x.shape()[0])).unwrap().to_owned();
        let found = run(&graph, &x);
        let (largest, differing, above_one) = differences(&found, &expected);
        println!(
            "{key}: {differing} of {} outputs differ, {above_one} by more than 1, at most by {largest}",
            found.len()
        );
        assert_eq!((largest, above_one), (0, 0), "{key}");
        let other_top = found.rows().into_iter().zip(expected.rows()).filter(|(a, b)| top(*a) != top(*b)).count();
        println!("{key}: top-1 equal on {} of {}", x.shape()[0] - other_top, x.shape()[0]);
        assert_eq!(other_top, 0, "{key}");
        if let Some(graph) = logits(&graph) {
            let (largest, differing, _) = differences(&run(&graph, &x), &logits_of[key]);
            println!("{key}: {differing} of {} logits differ, at most by {largest}", logits_of[key].len());
            assert_eq!(largest, 0, "{key}: logits differ");
        }
    }
}

/// The TensorFlow Lite file and the ONNX file made from it are one model.
#[test]
fn tflite_files_give_the_bits_of_their_onnx_twins() {
    let Some(folder) = teff_tests::shared("mlperf-tiny") else { return };
    for (key, onnx, tflite) in MODELS {
        let x = array::<i8>(&folder.join(format!("{key}_io.npz")), "x_int8");
        let twins = [format!("{onnx}.onnx"), format!("{tflite}.tflite")].map(|name| run(&load(&folder.join(name)), &x));
        let (largest, differing, _) = differences(&twins[1], &twins[0]);
        println!("{key}: {differing} of {} outputs of the twins differ, at most by {largest}", twins[0].len());
        assert_eq!(differing, 0, "{key}");
    }
}

/// A float file converts with calibration, as its ONNX twin does.
#[test]
fn float_tflite_files_keep_their_answers() {
    let Some(folder) = teff_tests::shared("mlperf-tiny") else { return };
    for (key, name) in [("vww", "vww_96_float"), ("ad", "ad01_fp32")] {
        let graph = load(&folder.join(format!("{name}.tflite")));
        let npz = folder.join(format!("{key}_io.npz"));
        let (x, y) = (array::<f32>(&npz, "x_f32"), array::<f32>(&npz, "y_f32_ort"));
        let shape = graph.inputs[0].onnx_shape.clone();
        let sample = |i: usize| vec![x.index_axis(Axis(0), i).to_owned().into_shape_with_order(shape.clone()).unwrap()];
        let samples: Vec<Vec<ArrayD<f32>>> = (0..x.shape()[0]).map(sample).collect();
        let nothing: Vec<Vec<ArrayD<f32>>> = Vec::new();
        let error = convert(&graph, &nothing, &Options::default(), &|| {}).err().map(|e| format!("{e:#}")).unwrap();
        assert!(error.contains("a calibration set is needed"), "{error}");
        let converted = convert(&graph, &samples, &Options::default(), &|| {}).unwrap();
        let cosines = samples.iter().enumerate().map(|(i, inputs)| {
            let found = &teff_tests::run::run(&converted.file, inputs).unwrap()[0];
            teff_tests::run::cosine(found, y.index_axis(Axis(0), i))
        });
        let worst = cosines.fold(1.0_f64, f64::min);
        println!("{key}: cosine at least {worst:.5}");
        assert!(worst >= 0.99, "{key}: {worst}");
    }
}
