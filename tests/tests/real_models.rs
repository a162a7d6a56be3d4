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
use teff_tools::quantize::Width;

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
            ..import::Options::default()
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
    /// Why it has another goal in int8 than [`INT8`], and which.
    below: Option<(f64, &'static str)>,
}

const fn named(name: &'static str) -> Named {
    Named { name, state: None, below: None }
}

const fn below(name: &'static str, least: f64, why: &'static str) -> Named {
    Named { name, state: None, below: Some((least, why)) }
}

const fn stateful(name: &'static str, input: &'static str, output: &'static str) -> Named {
    Named { name, state: Some((input, output)), below: None }
}

const MODELS: &[Named] = &[
    named("pnet"),
    named("rnet"),
    named("onet"),
    named("ppocr_cls"),
    named("ppocr_det"),
    named("livekit_embedding"),
    below(
        "livekit_melspectrogram",
        0.87,
        "the power spectrum of a signal of 8 bits has 48 dB, the logarithm of it shows 80",
    ),
    below("basic_pitch", 0.85, "as in the mel spectrogram, the constant-Q transform is squared and enters a logarithm"),
    named("speechmos_v8"),
    stateful("dtln_1", "input_3", "tf_op_layer_stack_2"),
    stateful("dtln_2", "input_5", "tf_op_layer_stack_5"),
    below("silero_16k_sequence", 0.75, "the spectrum's magnitude loses what is quiet in 8 bits"),
    named("brainmaze_a"),
];

/// Least cosine with int16 activations.
const INT16: f64 = 0.999;
/// Least cosine in int8, but for the models that say why not.
const INT8: f64 = 0.98;

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

/// The model converted in both widths.
fn both(folder: &Path, model: &Named) -> anyhow::Result<[Measured; 2]> {
    let mut loaded = Model::load(folder, model.name, model.state);
    let mut measured = |activations| measure(&mut loaded, &Options { activations, ..Options::default() });
    Ok([measured(Width::Int16)?, measured(Width::Int8)?])
}

const HEAD: &str = "\
# Real models

Models that others trained and publish in packages of PyPI, converted with the samples that `tests/setup/real-models.sh` makes
(pictures, synthesised speech) and held against ONNX Runtime on others: the smallest cosine of an output over all of them. The
float graph agrees with ONNX Runtime to 1e-4 of the largest output with each of them. This page is written by

    TEFF_OVERWRITE_GOLDENS=1 cargo test --release -p teff-tests --test real_models

and compared by every run of the tests. Calibration is min-max; state is kept between runs (20 frames).

| model | cosine int16 | cosine int8 | operators | arena int8 | state int8 | |
|---|---|---|---|---|---|---|
";

#[test]
fn converted_models_reach_their_cosines() {
    let Some(folder) = folder() else { return };
    let (mut failed, mut text) = (Vec::new(), HEAD.to_string());
    for model in MODELS {
        let name = model.name;
        let measured = std::panic::catch_unwind(|| both(&folder, model));
        match measured.unwrap_or_else(|_| Err(anyhow::anyhow!("panicked, see above"))) {
            Ok([int16, int8]) => {
                let (least, why) = model.below.unwrap_or((INT8, ""));
                let Measured { steps, arena, state, .. } = int8;
                let row = format!("{:.4} | {:.3} | {steps} | {arena} | {state} | {why}", int16.cosine, int8.cosine);
                text += &format!("| {name} | {row} |\n");
                if int16.cosine < INT16 || int8.cosine < least {
                    failed.push(format!("{name}: {row}; wanted {INT16} and {least}"));
                }
            }
            Err(error) => failed.push(format!("{name}: {error:#}")),
        }
    }
    note(&text);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    teff_tests::figures("real-models.md", &text, 0.003);
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
