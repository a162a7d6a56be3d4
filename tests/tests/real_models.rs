//! Models that other people trained and publish in packages, against ONNX Runtime.
//!
//! `tests/setup/real-models.sh` puts them, with realistic inputs and what ONNX Runtime computes of them, into
//! target/real-models.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use ndarray::{ArrayD, IxDyn};
use ndarray_npy::NpzReader;
use teff::Session;
use teff_tests::note;
use teff_tests::run::cosine;
use teff_tools::aligned::AlignedBytes;
use teff_tools::convert::{Options, convert};
use teff_tools::import;
use teff_tools::ir::eval::eval;
use teff_tools::ir::{Graph, Port};
use teff_tools::passes;

fn folder() -> Option<PathBuf> {
    let path = teff_tests::root().join("target/real-models");
    if path.join(".version").exists() {
        return Some(path);
    }
    assert!(!teff_tests::in_ci(), "the models are missing: run tests/setup/real-models.sh");
    teff_tests::skip("the real models", "they are not in target/real-models (tests/setup/real-models.sh)");
    None
}

/// A model and its samples.
struct Model {
    graph: Graph,
    npz: NpzReader<File>,
}

impl Model {
    fn load(folder: &Path, name: &str, state: Option<(&str, &str)>) -> Self {
        let mut npz = NpzReader::new(File::open(folder.join(format!("{name}.npz"))).unwrap()).unwrap();
        let path = folder.join(format!("{name}.onnx"));
        let inputs = onnx_inputs(&path);
        let shape = |i: usize| {
            let x: ArrayD<f32> = npz.by_name(&format!("test_0_in_{i}")).unwrap();
            x.shape().to_vec()
        };
        let shapes: Vec<Vec<usize>> = (0..inputs.len()).map(shape).collect();
        let options = import::Options {
            input_shapes: inputs.into_iter().zip(shapes).collect(),
            states: state.iter().map(|(input, output)| (input.to_string(), output.to_string())).collect(),
        };
        let mut graph = import::load(&path, &options).unwrap_or_else(|e| panic!("{name}: {e:#}"));
        passes::run(&mut graph).unwrap_or_else(|e| panic!("{name}: {e:#}"));
        Self { graph, npz }
    }

    fn array(&mut self, name: &str) -> Option<ArrayD<f32>> {
        self.npz.by_name(name).ok()
    }

    /// The inputs of samples `kind` (`cal`, `test`), in the device's layout.
    fn inputs(&mut self, kind: &str) -> Vec<Vec<ArrayD<f32>>> {
        let ports = self.graph.inputs.clone();
        let mut samples = Vec::new();
        while self.array(&format!("{kind}_{}_in_0", samples.len())).is_some() {
            let k = samples.len();
            let input = |(i, port): (usize, &Port)| {
                let x = self.array(&format!("{kind}_{k}_in_{i}")).unwrap();
                match &port.perm {
                    Some(perm) => x.permuted_axes(IxDyn(perm)).as_standard_layout().into_owned(),
                    None => x,
                }
            };
            samples.push(ports.iter().enumerate().map(input).collect());
        }
        samples
    }

    /// Output `j` of test sample `k` as ONNX Runtime computed it, in the device's layout.
    fn expected(&mut self, k: usize, j: usize) -> ArrayD<f32> {
        let y = self.array(&format!("test_{k}_out_{j}")).unwrap();
        match &self.graph.outputs[j].perm {
            Some(perm) => y.permuted_axes(IxDyn(perm)).as_standard_layout().into_owned(),
            None => y,
        }
    }
}

/// Names of the model's inputs.
fn onnx_inputs(path: &Path) -> Vec<String> {
    import::input_names(path).unwrap()
}

/// A model, and the input and the output that are its state.
struct Named {
    name: &'static str,
    state: Option<(&'static str, &'static str)>,
    /// Least cosine that it reaches in int8: 0.98, or what it is, to be seen if it falls.
    int8: f64,
}

const fn named(name: &'static str, int8: f64) -> Named {
    Named { name, state: None, int8 }
}

const MODELS: &[Named] = &[
    named("pnet", 0.98),
    named("rnet", 0.98),
    named("onet", 0.98),
    named("ppocr_cls", 0.98),
    named("ppocr_det", 0.98),
    named("livekit_embedding", 0.98),
    named("livekit_melspectrogram", 0.88),
    named("basic_pitch", 0.86),
    named("speechmos_v8", 0.98),
    Named { name: "dtln_1", state: Some(("input_3", "tf_op_layer_stack_2")), int8: 0.98 },
    Named { name: "dtln_2", state: Some(("input_5", "tf_op_layer_stack_5")), int8: 0.98 },
    named("silero_16k_sequence", 0.76),
    named("brainmaze_a", 0.98),
];

/// Largest difference of the float graph and ONNX Runtime, against the largest value of the output.
const FLOAT_TOLERANCE: f32 = 1e-4;

#[test]
fn the_float_graph_agrees_with_onnx_runtime() {
    let Some(folder) = folder() else { return };
    let mut bad = Vec::new();
    for &Named { name, .. } in MODELS {
        let found = std::panic::catch_unwind(|| {
            let mut model = Model::load(&folder, name, None);
            let inputs = model.inputs("test").swap_remove(0);
            let outputs = eval(&model.graph, &inputs).unwrap_or_else(|e| panic!("{name}: {e:#}"));
            let mut worst = 0_f32;
            for (j, y) in outputs.iter().enumerate() {
                let expected = model.expected(0, j);
                let largest = expected.iter().fold(0_f32, |m, v| m.max(v.abs()));
                assert_eq!(y.shape(), expected.shape(), "{name}");
                let difference = y.iter().zip(&expected).fold(0_f32, |m, (a, b)| m.max((a - b).abs()));
                worst = worst.max(difference / largest.max(f32::MIN_POSITIVE));
            }
            println!(
                "{name}: {} nodes, {:.1} MMAC, worst {worst:e}",
                model.graph.nodes.len(),
                model.graph.macs() as f64 / 1e6
            );
            assert!(worst <= FLOAT_TOLERANCE, "{name}: {worst:e}");
        });
        if found.is_err() {
            bad.push(name);
        }
    }
    assert!(bad.is_empty(), "{bad:?}");
}

/// How a converted model compares with ONNX Runtime.
struct Measured {
    steps: usize,
    arena: usize,
    state: usize,
    /// The smallest cosine of an output over all test samples.
    cosine: f64,
}

fn measure(model: &mut Model, options: &Options) -> anyhow::Result<Measured> {
    let (calibration, tests) = (model.inputs("cal"), model.inputs("test"));
    let converted = convert(&model.graph, &calibration, options, &|| {})?;
    let file = teff::Model::verify(&converted.file)?;
    let entry = file.entry(0).context("no entry point")?;
    let mut memory = AlignedBytes::zeroed(file.memory_len());
    let mut session = Session::new(&file, &mut memory)?;
    let mut pairs = vec![(Vec::new(), Vec::new()); model.graph.outputs.len()];
    for (k, sample) in tests.iter().enumerate() {
        for (i, (port, x)) in entry.inputs().zip(sample).enumerate() {
            let tensor = port.tensor().context("no tensor")?;
            ensure!(tensor.write_reals(session.input(i)?, x.iter().copied()), "input {i} has another length");
        }
        session.run()?;
        for (j, (port, (found, expected))) in entry.outputs().zip(&mut pairs).enumerate() {
            let tensor = port.tensor().context("no tensor")?;
            found.extend(tensor.read_reals(session.output(j)?));
            expected.extend(model.expected(k, j).iter().copied());
        }
    }
    let cosines = pairs.iter().map(|(found, expected)| cosine(found, expected));
    Ok(Measured {
        steps: file.steps().count(),
        arena: file.arena_len(),
        state: file.state_len(),
        cosine: cosines.fold(1.0, f64::min),
    })
}

#[test]
fn converted_models_reach_their_cosines() {
    let Some(folder) = folder() else { return };
    let mut failed = Vec::new();
    note("model                   operators  cosine int8  arena int8   state");
    for &Named { name, state, int8 } in MODELS {
        let measured =
            std::panic::catch_unwind(|| measure(&mut Model::load(&folder, name, state), &Options::default()));
        match measured.unwrap_or_else(|_| Err(anyhow::anyhow!("panicked, see above"))) {
            Ok(found) => {
                note(&format!(
                    "{name:<24}{:>9}{:>13.5}{:>12}{:>8}",
                    found.steps, found.cosine, found.arena, found.state
                ));
                if found.cosine < int8 {
                    failed.push(format!("{name}: {:.5} in int8, {int8} wanted", found.cosine));
                }
            }
            Err(error) => {
                note(&format!("{name:<24} {error:#}"));
                failed.push(format!("{name}: {error:#}"));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// What is not read is said in one message that names the operator and a remedy.
#[test]
fn models_that_cannot_be_converted_say_why() {
    let Some(folder) = folder() else { return };
    let refused = [
        ("refused_tashkeel", "DynamicQuantizeLSTM"),
        ("refused_chars2vec", "Loop"),
        ("refused_silero_if", "If"),
        ("refused_silero_op18", "If"),
    ];
    for (name, operator) in refused {
        let error = import::load(folder.join(format!("{name}.onnx")), &import::Options::default()).unwrap_err();
        let text = format!("{error:#}");
        println!("{text}\n");
        assert!(text.contains(&format!("({operator})")), "{name}: {text}");
        assert!(text.lines().count() < 60, "{name}: too long");
    }
}
