//! Models as ONNX Runtime's quantizer writes them (tests/setup/quantized-models.sh), against ONNX Runtime.

use std::fs::File;
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, Axis};
use ndarray_npy::NpzReader;
use teff_tests::run::{cosine, run};
use teff_tools::convert::{Options, convert};
use teff_tools::ir::Graph;
use teff_tools::{import, passes, quantize};

fn folder() -> Option<PathBuf> {
    let path = teff_tests::root().join("target/quantized-models");
    if path.join(".version").exists() {
        return Some(path);
    }
    assert!(!teff_tests::in_ci(), "the quantized models are missing: run tests/setup/quantized-models.sh");
    teff_tests::skip("models of ONNX Runtime's quantizer", "tests/setup/quantized-models.sh has not run");
    None
}

fn array(npz: &Path, name: &str) -> ArrayD<f32> {
    NpzReader::new(File::open(npz).unwrap()).unwrap().by_name(name).unwrap()
}

fn permuted(x: ArrayD<f32>, perm: Option<&[usize]>) -> ArrayD<f32> {
    match perm {
        Some(perm) => x.permuted_axes(perm).as_standard_layout().into_owned(),
        None => x,
    }
}

/// Largest difference in steps of the output's scale (if the model prescribes it), the part of the outputs that
/// differ, and the cosine.
fn compare(graph: &Graph, npz: &Path) -> (f32, f64, f64) {
    let (x, y) = (array(npz, "x"), array(npz, "y"));
    let input =
        |i: usize| permuted(x.index_axis(Axis(0), i).insert_axis(Axis(0)).to_owned(), graph.inputs[0].perm.as_deref());
    let samples: Vec<Vec<ArrayD<f32>>> = (0..x.shape()[0]).map(|i| vec![input(i)]).collect();
    let quantized = quantize::uncalibrated(graph).is_empty();
    let calibration = if quantized { Vec::new() } else { samples.clone() };
    let converted = convert(graph, &calibration, &Options::default(), &|| {}).unwrap_or_else(|e| panic!("{e:#}"));
    let scale = graph.value(graph.outputs[0].value).pin.map_or(f32::INFINITY, |pin| pin.scale);
    let (mut largest, mut differing) = (0_f32, 0);
    let (mut found, mut expected) = (Vec::new(), Vec::new());
    for (i, sample) in samples.iter().enumerate() {
        let out = run(&converted.file, sample).unwrap().remove(0);
        let want = permuted(y.index_axis(Axis(0), i).to_owned(), graph.outputs[0].perm.as_deref());
        assert_eq!(out.shape(), want.shape());
        for (a, b) in out.iter().zip(&want) {
            let steps = ((a - b) / scale).abs();
            largest = largest.max(steps);
            differing += usize::from(steps > 0.5);
        }
        found.extend(out);
        expected.extend(want);
    }
    (largest, differing as f64 / found.len() as f64, cosine(&found, &expected))
}

#[test]
fn models_of_onnx_runtimes_quantizer_agree_with_it() {
    let Some(folder) = folder() else { return };
    let mut models: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    models.retain(|p| p.extension().is_some_and(|e| e == "onnx"));
    models.sort();
    assert!(models.len() >= 36, "{} models", models.len());
    let mut wrong = Vec::new();
    for model in models {
        let name = model.file_stem().unwrap().to_string_lossy().into_owned();
        let graph = import::load(&model, &import::Options::default()).and_then(|mut graph| {
            passes::run(&mut graph)?;
            Ok(graph)
        });
        let graph = match graph {
            Ok(graph) => graph,
            Err(error) => {
                wrong.push(format!("{name}: {error:#}"));
                continue;
            }
        };
        let whole = quantize::uncalibrated(&graph).is_empty();
        let (steps, differing, cosine) = compare(&graph, &model.with_extension("npz"));
        println!(
            "{name}: whole {whole}, {steps:.2} steps at most, {:.2} % differ, cosine {cosine:.6}",
            100.0 * differing
        );
        let partial = name.ends_with("_part") || name.contains("_dynamic");
        // Where operators carry their scales and the weights fit, the bits are ONNX Runtime's, but for a rare tie. Averages
        // of floats have many ties, which it rounds to even and Teff up; uint8 weights may be rounded anew.
        let limit = if name.contains("qoperator") && !name.contains("uint8_uint8") { 1.5 } else { 3.5 };
        if whole == partial || cosine < if partial { 0.999 } else { 0.9995 } || (whole && steps > limit) {
            wrong.push(format!("{name}: whole {whole}, {steps} steps, cosine {cosine}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
