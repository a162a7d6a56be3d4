//! The search for mixed precision on models that int8 harms.

use std::fs::File;

use ndarray::{ArrayD, IxDyn};
use ndarray_npy::NpzReader;
use teff_tests::note;
use teff_tests::run::{cosine, run};
use teff_tools::convert::search::{Measure, SearchReport};
use teff_tools::convert::{Options, convert};
use teff_tools::import;
use teff_tools::ir::Graph;
use teff_tools::passes;

/// What the drop may be, in percent of cosine distance.
const MAX_DROP: f64 = 0.5;

fn to_device(graph: &Graph, input: usize, x: ArrayD<f32>) -> ArrayD<f32> {
    match &graph.inputs[input].perm {
        Some(perm) => x.permuted_axes(IxDyn(perm)).as_standard_layout().into_owned(),
        None => x,
    }
}

/// Converts with the goal, checks what the search says of itself, and prints it.
fn search(name: &str, graph: &Graph, samples: &Vec<Vec<ArrayD<f32>>>) -> (Vec<u8>, SearchReport) {
    let options = Options { max_drop: Some(MAX_DROP), ..Options::default() };
    let converted = convert(graph, samples, &options, &|| {}).unwrap_or_else(|e| panic!("{name}: {e:#}"));
    let found = converted.search.expect("a goal makes a search");
    assert_eq!(found.measure, Measure::CosineDistance, "{name}");
    let wide = found.layers.iter().filter(|layer| layer.int16);
    note(&format!(
        "{name}: {:.2} % in int8, {:.3} % in int16, {:.3} % with {} of {} activations in int16",
        found.int8.drop,
        found.int16.drop,
        found.chosen.drop,
        wide.clone().count(),
        found.layers.len()
    ));
    for layer in wide.clone() {
        note(&format!("  {} ({}), {:+.2} dB: {}", layer.name, layer.op, layer.gain_db, layer.why));
    }
    assert!(found.int8.drop > MAX_DROP, "{name}: int8 does no harm, the test proves nothing");
    assert!(found.chosen.drop <= MAX_DROP, "{name}: {:.2} %", found.chosen.drop);
    assert!(wide.count() > 0 && found.layers.iter().all(|layer| !layer.why.is_empty()), "{name}");
    (converted.file.to_vec(), found)
}

/// Of a model of phases and amplitudes int8 makes 5 %.
#[test]
fn a_shared_architecture_comes_within_its_goal() {
    let Some(folder) = teff_tests::shared("architectures") else { return };
    let name = "apnet_mini";
    let mut graph = import::load(folder.join(format!("{name}.onnx")), &import::Options::default()).unwrap();
    passes::run(&mut graph).unwrap();
    let mut npz = NpzReader::new(File::open(folder.join(format!("{name}.npz"))).unwrap()).unwrap();
    let mut inputs = Vec::new();
    for i in 0..graph.inputs.len() {
        let x: ArrayD<f32> = npz.by_name(&format!("in_{}", graph.inputs[i].name)).unwrap();
        inputs.push(to_device(&graph, i, x));
    }
    let (_, found) = search(name, &graph, &vec![inputs]);
    // It is a choice, not all of them.
    assert!(found.layers.iter().any(|layer| !layer.int16), "{name}");
}

/// Of a mel spectrogram int8 makes 12 %; what the search chooses on four clips holds on others.
#[test]
fn a_mel_spectrogram_comes_within_its_goal() {
    let folder = teff_tests::root().join("target/real-models");
    if !folder.join(".version").exists() {
        assert!(!teff_tests::in_ci(), "the models are missing: run tests/setup/real-models.sh");
        return teff_tests::skip("the mel spectrogram", "it is not in target/real-models (tests/setup/real-models.sh)");
    }
    let name = "livekit_melspectrogram";
    let mut npz = NpzReader::new(File::open(folder.join(format!("{name}.npz"))).unwrap()).unwrap();
    let mut array = |name: &str| -> ArrayD<f32> { npz.by_name(name).unwrap() };
    let path = folder.join(format!("{name}.onnx"));
    let input = import::input_names(&path).unwrap().remove(0);
    let shape = array("test_0_in_0").shape().to_vec();
    let options = import::Options { input_shapes: vec![(input, shape)], ..import::Options::default() };
    let mut graph = import::load(&path, &options).unwrap();
    passes::run(&mut graph).unwrap();
    let calibration = (0..4).map(|k| vec![to_device(&graph, 0, array(&format!("cal_{k}_in_0")))]).collect();
    let (file, _) = search(name, &graph, &calibration);
    let x = to_device(&graph, 0, array("test_0_in_0"));
    let y = array("test_0_out_0");
    let y = match &graph.outputs[0].perm {
        Some(perm) => y.permuted_axes(IxDyn(perm)).as_standard_layout().into_owned(),
        None => y,
    };
    let reached = cosine(&run(&file, &[x]).unwrap()[0], &y);
    note(&format!("{name}: cosine {reached:.5} on a clip that the search has not seen"));
    assert!(reached >= 0.99, "{reached}");
}
