//! The ONNX backend's node tests: every case gives the expected output or is refused; nothing is silently wrong.
//!
//! Each case runs twice: with all its inputs as inputs, and with all but the first float input as constants (the weights
//! of a convolution, the bounds of a clip). Where the float graph gives the expected output and is a single operator,
//! it is also converted to int8, and the int8 model held against it on the same, dequantized inputs: within
//! [`INT8_STEPS`] steps of the output's scale, saturation at the ends of the calibrated range aside.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use ndarray::{ArrayD, IxDyn};
use prost::Message;
use rayon::prelude::*;
use teff::{Model, Session};
use teff_tools::{
    aligned::AlignedBytes,
    convert::{self, convert},
    import::{self, Options},
    ir::{Graph, Port, eval::eval},
    passes,
};
use tract_onnx::pb::{ModelProto, TensorProto, tensor_proto::DataType};

const RTOL: f32 = 1e-4;
const ATOL: f32 = 1e-5;

/// A case whose expected output is written with four digits.
const FOUR_DIGITS: &str = "test_averagepool_2d_ceil_last_window_starts_on_pad";

/// Largest difference of int8 and float, in steps of the output: half a step is the operator's own rounding, the rest is
/// the rounding of weights and of constant operands.
const INT8_STEPS: f32 = 2.0;

/// What became of a case.
enum Outcome {
    /// The float graph gives the expected output; whether an int8 model was held against it.
    Passed {
        int8: bool,
    },
    Refused(String),
    Failed(String),
}

fn folder() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/onnx-node-tests");
    if path.is_dir() {
        return Some(path);
    }
    let required = std::env::var("CI").is_ok_and(|v| v == "true");
    assert!(!required, "the ONNX node tests are missing: run tests/setup/onnx-node-tests.sh");
    println!("SKIPPED the ONNX node tests: they are not in target/onnx-node-tests (tests/setup/onnx-node-tests.sh)");
    None
}

fn is_float(tensor: &TensorProto) -> bool {
    tensor.data_type == DataType::Float as i32
}

fn floats(tensor: &TensorProto) -> Result<ArrayD<f32>> {
    ensure!(is_float(tensor), "no float tensor");
    let shape: Vec<usize> = tensor.dims.iter().map(|&d| d as usize).collect();
    let data = if tensor.raw_data.is_empty() {
        tensor.float_data.clone()
    } else {
        tensor.raw_data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    };
    Ok(ArrayD::from_shape_vec(IxDyn(&shape), data)?)
}

/// The numbered tensors of a case, as far as they are tensors.
fn tensors(case: &Path, kind: &str) -> Vec<Option<TensorProto>> {
    let path = |i: usize| case.join(format!("test_data_set_0/{kind}_{i}.pb"));
    let read = |p: PathBuf| std::fs::read(p).ok().and_then(|b| TensorProto::decode(b.as_slice()).ok());
    (0..).map(path).take_while(|p| p.exists()).map(read).collect()
}

fn layout(x: ArrayD<f32>, port: &Port) -> ArrayD<f32> {
    match &port.perm {
        Some(perm) => x.permuted_axes(IxDyn(perm)).as_standard_layout().into_owned(),
        None => x,
    }
}

/// A node test.
struct Case {
    name: String,
    model: ModelProto,
    inputs: Vec<Option<TensorProto>>,
    outputs: Vec<Option<TensorProto>>,
}

/// Runs a case; the inputs whose place is in `constants` become initializers.
fn run(case: &Case, constants: &[usize]) -> Outcome {
    let Case { name, model, inputs, outputs } = case;
    let rtol = if name == FOUR_DIGITS { 1e-3 } else { RTOL };
    let mut model = model.clone();
    let Some(graph) = model.graph.as_mut() else { return Outcome::Refused("no graph".into()) };
    let names: Vec<String> = graph.input.iter().map(|i| i.name.clone()).collect();
    for &i in constants {
        if let (Some(Some(tensor)), Some(name)) = (inputs.get(i), names.get(i)) {
            graph.initializer.push(TensorProto { name: name.clone(), ..tensor.clone() });
        }
    }
    let kept = (0..inputs.len()).filter(|i| !constants.contains(i));
    let shapes = kept
        .clone()
        .filter_map(|i| Some((names.get(i)?.clone(), inputs[i].as_ref()?.dims.iter().map(|&d| d as usize).collect())));
    let options = Options { input_shapes: shapes.collect() };
    let mut graph = match import::from_model(model, None, &options) {
        Ok(graph) => graph,
        Err(error) => return Outcome::Refused(format!("{error:#}")),
    };
    let compared = (|| -> Result<bool> {
        passes::run(&mut graph)?;
        let given = kept.map(|i| floats(inputs[i].as_ref().context("an input that is no tensor")?));
        let given: Vec<_> = given.zip(&graph.inputs).map(|(x, port)| Ok(layout(x?, port))).collect::<Result<_>>()?;
        let got = eval(&graph, &given)?;
        ensure!(got.len() == outputs.len(), "{} outputs instead of {}", got.len(), outputs.len());
        for ((got, port), want) in got.iter().zip(&graph.outputs).zip(outputs) {
            let want = layout(floats(want.as_ref().context("an output that is no tensor")?)?, port);
            ensure!(got.shape() == want.shape(), "shape {:?} instead of {:?}", got.shape(), want.shape());
            for (g, w) in got.iter().zip(&want) {
                let close = g == w || (g.is_nan() && w.is_nan()) || (g - w).abs() <= ATOL + rtol * w.abs();
                ensure!(close, "{g} instead of {w}");
            }
        }
        int8_agrees(&graph, given)
    })();
    match compared {
        Ok(int8) => Outcome::Passed { int8 },
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}

/// Converts a graph of one operator to int8 and holds it against float; `false` if there was nothing to hold.
fn int8_agrees(graph: &Graph, given: Vec<ArrayD<f32>>) -> Result<bool> {
    if graph.nodes.len() != 1 {
        return Ok(false);
    }
    // A case with infinities or empty tensors has no int8 form: the converter says so.
    let samples = vec![given];
    let Ok(converted) = convert(graph, &samples, &convert::Options::default(), &|| {}) else { return Ok(false) };
    let model = Model::verify(&converted.file)?;
    let entry = model.entry(0).context("no entry point")?;
    let mut memory = AlignedBytes::zeroed(model.memory_len());
    let mut session = Session::new(&model, &mut memory)?;
    let mut dequantized = Vec::new();
    for (i, (port, x)) in entry.inputs().zip(&samples[0]).enumerate() {
        let tensor = port.tensor().context("no tensor")?;
        let values: Vec<i8> = x.iter().map(|&v| tensor.quantize_i8(v)).collect();
        session.input_i8(i)?.copy_from_slice(&values);
        let real = values.iter().map(|&q| tensor.dequantize_i8(q)).collect();
        dequantized.push(ArrayD::from_shape_vec(x.raw_dim(), real)?);
    }
    session.run()?;
    let expected = eval(graph, &dequantized)?;
    for (i, (port, want)) in entry.outputs().zip(&expected).enumerate() {
        let tensor = port.tensor().context("no tensor")?;
        let (low, high) = (tensor.dequantize_i8(i8::MIN), tensor.dequantize_i8(i8::MAX));
        for (&q, &want) in session.output_i8(i)?.iter().zip(want) {
            let steps = (tensor.dequantize_i8(q) - want.clamp(low, high)).abs() / tensor.scale;
            ensure!(steps <= INT8_STEPS, "int8 is {steps:.2} steps off: {q} for {want}");
        }
    }
    Ok(true)
}

#[test]
fn every_node_test_gives_the_expected_output_or_is_refused() {
    let Some(folder) = folder() else { return };
    let mut cases: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().filter_map(|e| Some(e.ok()?.path())).collect();
    cases.retain(|p| p.join("model.onnx").exists());
    cases.sort();
    assert!(cases.len() > 1000, "only {} cases", cases.len());
    std::panic::set_hook(Box::new(|_| {}));
    let outcomes: Vec<(String, Outcome)> = cases
        .par_iter()
        .flat_map(|path| {
            let case = Case {
                name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                model: ModelProto::decode(std::fs::read(path.join("model.onnx")).unwrap().as_slice()).unwrap(),
                inputs: tensors(path, "input"),
                outputs: tensors(path, "output"),
            };
            let first = case.inputs.iter().position(|t| t.as_ref().is_some_and(is_float));
            let rest: Vec<usize> = (0..case.inputs.len()).filter(|&i| Some(i) != first).collect();
            let mut variants = vec![vec![]];
            if first.is_some() && !rest.is_empty() {
                variants.push(rest);
            }
            let run = |constants: Vec<usize>| {
                let run = || run(&case, &constants);
                let outcome = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Outcome::Failed("panic".into()));
                let with = if constants.is_empty() { "" } else { " (weights constant)" };
                (format!("{}{with}", case.name), outcome)
            };
            variants.into_iter().map(run).collect::<Vec<_>>()
        })
        .collect();
    let _ = std::panic::take_hook();
    let (mut passed, mut compared, mut refused, mut failed) = (0, 0, 0, Vec::new());
    for (name, outcome) in outcomes {
        match outcome {
            Outcome::Passed { int8 } => {
                passed += 1;
                compared += usize::from(int8);
                println!("passed  {name}{}", if int8 { ", int8 too" } else { "" });
            }
            Outcome::Refused(why) => {
                refused += 1;
                println!("refused {name}: {}", why.replace('\n', " "));
            }
            Outcome::Failed(why) => failed.push(format!("{name}: {why}")),
        }
    }
    println!(
        "ONNX node tests: {} cases: {passed} runs passed, {compared} of them in int8 too, {refused} refused, {} wrong",
        cases.len(),
        failed.len()
    );
    assert!(failed.is_empty(), "wrong results:\n{}", failed.join("\n"));
}
