//! The binary `teff` as a user runs it: files in, text or JSON out, exit codes, messages.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use ndarray::{Array1, ArrayD, Axis, IxDyn, s};
use ndarray_npy::{NpzReader, NpzWriter, ReadNpyExt, WriteNpyExt};
use prost::Message;
use serde_json::Value;
use tempfile::TempDir;
use tract_onnx::pb;

/// What a run of the binary left.
struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Outcome {
    /// The JSON that a run printed which went well.
    fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        serde_json::from_str(&self.stdout).expect("standard output is JSON and nothing else")
    }

    /// The text that a run printed which went well.
    fn text(&self) -> &str {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        assert!(!self.stdout.contains('\u{1b}'), "colours in a pipe");
        &self.stdout
    }

    /// Asserts that the run failed with a message that holds all of `parts`.
    fn failed_with(&self, parts: &[&str]) {
        assert_eq!(self.code, Some(1), "{}{}", self.stdout, self.stderr);
        assert!(self.stdout.is_empty(), "{}", self.stdout);
        assert!(self.stderr.starts_with("error: "), "{}", self.stderr);
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is not in: {}", self.stderr);
        }
    }
}

/// A folder in which a test works.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `teff` in the folder.
    fn teff(&self, args: &[&str]) -> Outcome {
        let output =
            Command::new(env!("CARGO_BIN_EXE_teff")).args(args).current_dir(self.folder.path()).output().unwrap();
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn npz(&self, name: &str, x: &ArrayD<f32>, labels: Option<&[i64]>) {
        let mut npz = NpzWriter::new_compressed(File::create(self.at(name)).unwrap());
        npz.add_array("x", x).unwrap();
        if let Some(labels) = labels {
            npz.add_array("y", &Array1::from(labels.to_vec())).unwrap();
        }
        npz.finish().unwrap();
    }

    /// `tiny.onnx`, `x.npz` with 8 labelled samples for it, and `tiny.teff` made of them.
    fn tiny() -> Self {
        let bench = Self::new();
        fs::write(bench.at("tiny.onnx"), tiny("Relu").encode_to_vec()).unwrap();
        bench.npz("x.npz", &noise(&[8, 1, 6, 6]), Some(&[0, 1, 2, 0, 1, 2, 0, 1]));
        bench.teff(&["convert", "tiny.onnx", "--calibration", "x.npz"]).text();
        bench
    }
}

/// Numbers from -1 to 1 without a pattern.
fn noise(shape: &[usize]) -> ArrayD<f32> {
    let mut state = 12345_u32;
    ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    })
}

/// Conv 3×3 (1 → 3), an activation, mean over the picture: `image` (1, 1, 6, 6) → `scores` (1, 3).
fn tiny(activation: &str) -> pb::ModelProto {
    let node = |op: &str, inputs: &[&str], output: &str| pb::NodeProto {
        name: format!("the_{}", op.to_lowercase()),
        op_type: op.to_string(),
        input: inputs.iter().map(ToString::to_string).collect(),
        output: vec![output.to_string()],
        ..Default::default()
    };
    let constant = |name: &str, shape: &[usize]| {
        let data = noise(shape);
        pb::TensorProto {
            name: name.to_string(),
            dims: shape.iter().map(|&d| d as i64).collect(),
            data_type: pb::tensor_proto::DataType::Float as i32,
            float_data: data.iter().copied().collect(),
            ..Default::default()
        }
    };
    let value = |name: &str, shape: &[i64]| {
        let dim = |&d: &i64| pb::tensor_shape_proto::Dimension {
            value: Some(pb::tensor_shape_proto::dimension::Value::DimValue(d)),
            ..Default::default()
        };
        let tensor = pb::type_proto::Tensor {
            elem_type: pb::tensor_proto::DataType::Float as i32,
            shape: Some(pb::TensorShapeProto { dim: shape.iter().map(dim).collect() }),
        };
        pb::ValueInfoProto {
            name: name.to_string(),
            r#type: Some(pb::TypeProto {
                value: Some(pb::type_proto::Value::TensorType(tensor)),
                ..Default::default()
            }),
            ..Default::default()
        }
    };
    let graph = pb::GraphProto {
        name: "tiny".to_string(),
        node: vec![
            node("Conv", &["image", "weights", "bias"], "filtered"),
            node(activation, &["filtered"], "active"),
            node("GlobalAveragePool", &["active"], "mean"),
            node("Flatten", &["mean"], "scores"),
        ],
        initializer: vec![constant("weights", &[3, 1, 3, 3]), constant("bias", &[3])],
        input: vec![value("image", &[1, 1, 6, 6])],
        output: vec![value("scores", &[1, 3])],
        ..Default::default()
    };
    let opset = pb::OperatorSetIdProto { domain: String::new(), version: 17 };
    pb::ModelProto { ir_version: 8, opset_import: vec![opset], graph: Some(graph), ..Default::default() }
}

/// The shipped model's folder.
fn mnist() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/lightcnn-mnist")
}

/// A bench with the shipped model, converted once for all tests: its `.teff` and what `convert --json` said.
fn mnist_teff() -> &'static (Bench, Value) {
    static CONVERTED: OnceLock<(Bench, Value)> = OnceLock::new();
    CONVERTED.get_or_init(|| {
        let bench = Bench::new();
        let [onnx, calibration, labels] =
            ["model.onnx", "calibration.npz", "labels.txt"].map(|name| path(&mnist(), name));
        let method = ["--method", "min-max"];
        let args = [&["convert", &onnx, "--calibration", &calibration, "--labels", &labels], &method[..]].concat();
        let args = [&args[..], &["-o", "m.teff", "--json"]].concat();
        let said = bench.teff(&args).json();
        (bench, said)
    })
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_string()
}

fn at<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

fn number(value: &Value, pointer: &str) -> f64 {
    at(value, pointer).as_f64().unwrap_or_else(|| panic!("{pointer} is no number"))
}

/// Two lines are two lines, the same with each run, and another seed writes others.
#[test]
fn a_language_model_writes_lines() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/storyteller/model.teff");
    let bench = Bench::new();
    let write = |seed: &str| {
        let arguments =
            ["generate", model, "--prompt", "And", "--lines", "2", "--temperature", "0.7", "--top-p", "0.9"];
        bench.teff(&[&arguments[..], &["--json", "--seed", seed]].concat()).json()["text"].as_str().unwrap().to_string()
    };
    let text = write("5");
    assert!(text.starts_with("And") && text.ends_with('\n'), "{text}");
    assert_eq!(text.lines().count(), 2, "{text}");
    assert_eq!((write("5") == text, write("6") == text), (true, false));
}

/// `model.teff` of a shipped model is, bit for bit, what the command on its card makes of `model.onnx`.
#[test]
fn shipped_files_are_what_their_command_makes() {
    let bench = Bench::new();
    for (name, options) in [
        ("lightcnn-mnist", &["--method", "min-max", "--labels", "labels.txt"][..]),
        ("lightcnn-fashion", &["--method", "min-max", "--labels", "labels.txt"]),
        ("sine", &["--method", "min-max", "--no-debug-names", "--no-self-test"]),
    ] {
        let folder = mnist().join("..").join(name);
        let [onnx, calibration, labels] = ["model.onnx", "calibration.npz", "labels.txt"].map(|f| path(&folder, f));
        let options = options.iter().map(|&option| if option == "labels.txt" { &labels } else { option });
        let mut args = vec!["convert", &onnx, "--calibration", &calibration, "-o", "again.teff"];
        args.extend(options);
        bench.teff(&args).text();
        let same = fs::read(bench.at("again.teff")).unwrap() == fs::read(folder.join("model.teff")).unwrap();
        assert!(same, "models/{name}/model.teff is not what `teff convert` makes now: renew it as its card says");
    }
}

#[test]
fn the_shipped_model_converts() {
    let (bench, said) = mnist_teff();
    assert_eq!(number(said, "/totals/parameters"), 14_862.0);
    assert_eq!(number(said, "/totals/macs"), 568_240.0);
    let [arena, bound] = ["arena_bytes", "arena_lower_bound"].map(|key| number(said, &format!("/totals/{key}")));
    assert!(bound > 0.0 && bound <= arena && arena <= 1.1 * bound, "arena {arena}, lower bound {bound}");
    assert_eq!(number(said, "/totals/file_bytes"), fs::metadata(bench.at("m.teff")).unwrap().len() as f64);
    assert_eq!(at(said, "/metadata/calibration"), "calibration.npz: 200 samples, min-max");
    assert_eq!(at(said, "/metadata/source"), "model.onnx");
    assert_eq!(at(said, "/metadata/source_sha256").as_str().unwrap().len(), 64);
    assert_eq!(at(said, "/metadata/preprocess"), r#"{"mean":[0.0],"std":[1.0]}"#);
    assert_eq!(at(said, "/metadata/labels").as_str().unwrap().lines().count(), 10);
    // Pixels become int8 exactly.
    assert_eq!(number(said, "/inputs/0/zero_point"), -128.0);
    assert_eq!(number(said, "/inputs/0/scale") as f32, 1.0 / 255.0);
}

#[test]
fn the_shipped_model_keeps_its_accuracy() {
    let (bench, _) = mnist_teff();
    let [data, onnx] = ["test-300.npz", "model.onnx"].map(|name| path(&mnist(), name));
    let said = bench.teff(&["eval", "m.teff", "--data", &data, "--onnx", &onnx, "--layers", "--json"]).json();
    let [float, int8] = ["float", "teff"].map(|which| number(&said, &format!("/{which}/share")));
    assert!(float >= 0.98 && (float - int8).abs() <= 0.01, "float {float}, int8 {int8}");
    assert_eq!(number(&said, "/samples"), 300.0);
    assert!(number(&said, "/agreement/share") >= 0.99);
    assert!(number(&said, "/cosine/mean") >= 0.999);
    let layers = at(&said, "/layers").as_array().unwrap();
    assert!(layers.len() >= 8, "{} layers matched by name", layers.len());
    for layer in layers {
        assert!(number(layer, "/sqnr_db") > 10.0, "{layer}");
    }
    assert_eq!(layers.iter().filter(|layer| layer["worst"] == true).count(), 3);

    let text = bench.teff(&["eval", "m.teff", "--data", &data, "--onnx", &onnx, "--layers", "--limit", "20"]);
    for part in ["float .onnx", "int8 .teff", "same class", "cosine", "among the worst", "20"] {
        assert!(text.text().contains(part), "{part}: {}", text.stdout);
    }
}

#[test]
fn activations_of_16_bits_are_nearer_to_float() {
    let bench = Bench::tiny();
    bench.teff(&["convert", "tiny.onnx", "--calibration", "x.npz", "--activations", "16", "-o", "wide.teff"]).text();
    let args = |file| ["eval", file, "--data", "x.npz", "--onnx", "tiny.onnx", "--layers", "--json"];
    let [narrow, wide] = ["tiny.teff", "wide.teff"].map(|file| bench.teff(&args(file)).json());
    assert_eq!([at(&narrow, "/activations"), at(&wide, "/activations")], ["int8", "int16"]);
    let noise =
        |said: &Value| at(said, "/layers").as_array().unwrap().iter().map(|l| number(l, "/sqnr_db")).sum::<f64>();
    assert!(noise(&wide) > noise(&narrow) + 10.0, "{} dB, {} dB", noise(&narrow), noise(&wide));
    let said = bench.teff(&["inspect", "wide.teff", "--json"]).json();
    assert_eq!(at(&said, "/inputs/0/data_type"), "i16");
    assert_eq!(at(&said, "/metadata/activations"), "int16");
    let ops = at(&said, "/steps").as_array().unwrap();
    assert!(ops.iter().any(|step| step["op"] == "conv2d_s16") && number(&said, "/totals/macs") > 0.0);
    assert!(bench.teff(&["run", "wide.teff", "x.npz"]).text().contains("int16"));
}

#[test]
fn layers_are_kept_in_int16_by_name() {
    let bench = Bench::tiny();
    let convert = |names: &str| {
        bench.teff(&[
            "convert",
            "tiny.onnx",
            "--calibration",
            "x.npz",
            "-o",
            "mixed.teff",
            "--json",
            "--keep-int16",
            names,
        ])
    };
    let said = convert("the_globalaveragepool").json();
    let ops: Vec<&str> = at(&said, "/steps").as_array().unwrap().iter().map(|s| s["op"].as_str().unwrap()).collect();
    // The convolution's output is int16, so that it computes in int16; its input stays int8.
    assert_eq!(at(&said, "/inputs/0/data_type"), "i8");
    assert!(ops.contains(&"requantize_s8_s16") && ops.contains(&"conv2d_s16"), "{ops:?}");
    assert_eq!(at(&said, "/outputs/0/data_type"), "i16");
    assert!(at(&said, "/metadata/activations").as_str().unwrap().starts_with("int8, but in int16: "));
    convert("the_globalpool").failed_with(&["the_globalpool", "the_globalaveragepool"]);
}

#[test]
fn a_search_finds_few_activations_for_int16() {
    let (_, int8) = mnist_teff();
    let bench = Bench::new();
    let [onnx, calibration] = ["model.onnx", "calibration.npz"].map(|name| path(&mnist(), name));
    let convert = |drop: &str, more: &[&str]| {
        let args = ["convert", &onnx, "--calibration", &calibration, "-o", "mixed.teff", "--max-drop", drop];
        bench.teff(&[&args, more].concat())
    };
    // In int8 the shipped model names the class of float for all but a few of 200 samples.
    let said = convert("2", &["--json"]).json();
    assert_eq!(at(&said, "/search/measure"), "top1-disagreement");
    assert!(number(&said, "/search/int8/drop") <= 2.0);
    assert_eq!(at(&said, "/search/chosen"), at(&said, "/search/int8"));
    assert_eq!(at(&said, "/totals/weight_bytes"), at(int8, "/totals/weight_bytes"));
    let layers = at(&said, "/search/layers").as_array().unwrap();
    assert!(layers.len() > 8 && layers.iter().all(|layer| layer["int16"] == false));

    let text = convert("2", &[]);
    for part in ["Mixed precision", "int8", "SQNR", "less sensitive"] {
        assert!(text.text().contains(part), "{part}: {}", text.stdout);
    }
}

#[test]
fn an_arena_has_a_limit() {
    let bench = Bench::new();
    let keyword = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models/keyword");
    let [onnx, calibration, test] = ["model.onnx", "calibration.npz", "test-600.npz"].map(|name| path(&keyword, name));
    let convert = |output: &str, more: &[&str]| {
        let args = ["convert", &onnx, "--calibration", &calibration, "-o", output];
        bench.teff(&[&args, more].concat())
    };
    let whole = convert("whole.teff", &["--json"]).json();
    let roomy = convert("roomy.teff", &["--max-arena", "1M", "--json"]).json();
    assert_eq!(at(&roomy, "/totals/arena_bytes"), at(&whole, "/totals/arena_bytes"));
    assert!(roomy.get("chains").is_none(), "nothing had to change");

    let small = convert("small.teff", &["--max-arena", "12k", "--json"]).json();
    assert!(number(&small, "/totals/arena_bytes") <= 12_288.0 && number(&whole, "/totals/arena_bytes") > 24_576.0);
    let nodes = at(&small, "/chains/0/nodes").as_array().unwrap();
    assert!(nodes.len() >= 2 && number(&small, "/chains/0/rows") >= 1.0);
    assert_eq!(at(&small, "/totals/macs"), at(&whole, "/totals/macs"), "no row is computed twice");
    assert_eq!(at(&small, "/totals/parameters"), at(&whole, "/totals/parameters"));
    let classes = |teff: &str| bench.teff(&["run", teff, &test, "--json"]).json();
    assert_eq!(classes("small.teff"), classes("whole.teff"));
    let said = convert("small.teff", &["--max-arena", "20k"]);
    assert!(said.text().contains("rows at a time: /convolutions.0"), "{}", said.stdout);

    let before = fs::read(bench.at("small.teff")).unwrap();
    convert("small.teff", &["--max-arena", "100"]).failed_with(&[
        "model.onnx",
        "an arena of 100 bytes",
        "most lives at node",
        "--max-arena",
    ]);
    assert_eq!(fs::read(bench.at("small.teff")).unwrap(), before);
}

#[test]
fn a_window_becomes_a_stream() {
    let bench = Bench::new();
    let keyword = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models/keyword");
    let [onnx, calibration, test] = ["model.onnx", "calibration.npz", "test-600.npz"].map(|name| path(&keyword, name));
    let convert = |output: &str, more: &[&str]| {
        let args = ["convert", &onnx, "--calibration", &calibration, "--method", "min-max", "-o", output];
        bench.teff(&[&args, more].concat())
    };
    convert("window.teff", &[]).text();
    let said = convert("stream.teff", &["--stream", "features=1,1,2,40", "--json"]).json();
    assert_eq!(["/stream/columns", "/stream/new", "/stream/runs"].map(|key| number(&said, key)), [48.0, 2.0, 24.0]);
    assert_eq!(at(&said, "/metadata/stream"), "features=1,1,48,40");
    assert_eq!(number(&said, "/totals/macs"), 148_288.0);
    assert!(number(&said, "/totals/state_bytes") > 0.0);
    // Both read windows.
    let classes = |teff: &str| bench.teff(&["run", teff, &test, "--json"]).json();
    assert_eq!(classes("stream.teff"), classes("window.teff"));
    let rate = |teff: &str| {
        let said = bench.teff(&["eval", teff, "--data", &test, "--onnx", &onnx, "--limit", "60", "--json"]).json();
        ["/teff/correct", "/float/correct", "/cosine/mean"].map(|key| number(&said, key))
    };
    assert_eq!(rate("stream.teff"), rate("window.teff"));
    bench
        .teff(&["eval", "stream.teff", "--data", &test, "--onnx", &onnx, "--layers"])
        .failed_with(&["stream.teff", "compare the layers of the window's model"]);
    let text = convert("stream.teff", &["--stream", "features=1,1,3,40"]).text().to_string();
    assert!(
        text.contains("features is a stream: 3 of 48 columns a run; its outputs are a window's from run 16 on"),
        "{text}"
    );
    assert!(text.contains("its stride of 2 does not divide the 3 new columns of a run"), "{text}");
    assert_eq!(classes("stream.teff"), classes("window.teff"));

    let before = fs::read(bench.at("stream.teff")).unwrap();
    for (stream, why) in [
        ("sound=1,1,2,40", "the model has no input sound: its inputs are features"),
        ("features=1,1,48,40", "with one axis shorter"),
        ("features=2,40", "with one axis shorter"),
    ] {
        convert("stream.teff", &["--stream", stream]).failed_with(&["model.onnx", why]);
    }
    assert_eq!(fs::read(bench.at("stream.teff")).unwrap(), before);
}

#[test]
fn pictures_give_what_their_arrays_give() {
    let (bench, _) = mnist_teff();
    let mut npz = NpzReader::new(File::open(mnist().join("test-300.npz")).unwrap()).unwrap();
    let x: ArrayD<u8> = npz.by_name("x").unwrap();
    let y: Array1<i64> = npz.by_name("y").unwrap();
    let folder = Bench::new();
    let sample = x.index_axis(Axis(0), 7).to_owned();
    image::GrayImage::from_raw(28, 28, sample.iter().copied().collect()).unwrap().save(folder.at("7.png")).unwrap();
    sample.write_npy(File::create(folder.at("7.npy")).unwrap()).unwrap();
    let teff = path(bench.folder.path(), "m.teff");
    let [picture, array] = ["7.png", "7.npy"].map(|input| folder.teff(&["run", &teff, input, "--json"]).json());
    assert_eq!(picture, array);
    assert_eq!(number(&picture, "/0/outputs/0/top/0/class"), y[7] as f64);
    assert_eq!(at(&picture, "/0/outputs/0/quantized").as_array().unwrap().len(), 10);

    // A folder with a subfolder for each class, called as the labels are.
    for i in 0..20 {
        let class = folder.at("digits").join(y[i].to_string());
        fs::create_dir_all(&class).unwrap();
        let pixels = x.index_axis(Axis(0), i).iter().copied().collect();
        image::GrayImage::from_raw(28, 28, pixels).unwrap().save(class.join(format!("{i}.png"))).unwrap();
    }
    let said = folder.teff(&["eval", &teff, "--data", "digits", "--json"]).json();
    assert_eq!(number(&said, "/teff/samples"), 20.0);
    assert!(number(&said, "/teff/share") >= 0.9 && at(&said, "/float").is_null());

    // A whole set, to a file.
    let data = path(&mnist(), "test-300.npz");
    let text = folder.teff(&["run", &teff, &data, "--top", "1", "--output", "out.npy"]);
    assert!(text.text().lines().count() > 300 && text.stdout.contains("label"));
    let out = ArrayD::<f32>::read_npy(File::open(folder.at("out.npy")).unwrap()).unwrap();
    assert_eq!(out.shape(), [300, 10]);
    let values: Vec<f32> =
        at(&picture, "/0/outputs/0/values").as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
    assert_eq!(out.slice(s![7, ..]).iter().copied().collect::<Vec<f32>>(), values);
}

#[test]
fn a_small_model_is_inspected() {
    let bench = Bench::tiny();
    let said = bench.teff(&["inspect", "tiny.teff", "--json", "--map"]).json();
    assert_eq!(number(&said, "/totals/parameters"), 3.0 * 9.0 + 3.0);
    assert_eq!(number(&said, "/totals/macs"), 4.0 * 4.0 * 3.0 * 9.0);
    assert_eq!(at(&said, "/steps/0/op"), "conv2d");
    assert_eq!(at(&said, "/steps/0/shape"), &serde_json::json!([1, 4, 4, 3]));
    assert_eq!(at(&said, "/self_test"), true);
    assert_eq!(at(&said, "/inputs/0/name"), "image");
    let rows = at(&said, "/memory_map/rows").as_array().unwrap();
    assert_eq!(rows.len(), at(&said, "/steps").as_array().unwrap().len());
    let text = bench.teff(&["inspect", "tiny.teff", "--map"]);
    for part in ["verified", "self-test passed", "conv2d", "lower bound", "◀ peak", "432 MACs"] {
        assert!(text.text().contains(part), "{part}: {}", text.stdout);
    }
}

#[test]
fn methods_and_switches_reach_the_file() {
    let bench = Bench::tiny();
    for method in ["percentile:99.5", "mse"] {
        let args = ["convert", "tiny.onnx", "--calibration", "x.npz", "--method", method, "-o", "m.teff", "--json"];
        let said = bench.teff(&args).json();
        assert_eq!(at(&said, "/metadata/calibration"), &format!("x.npz: 8 samples, {method}"));
        assert_eq!(said.pointer("/metadata/preprocess"), None, "floats are not preprocessed");
    }
    let small =
        ["convert", "tiny.onnx", "--calibration", "x.npz", "--no-debug-names", "--no-self-test", "-o", "s.teff"];
    bench.teff(&small).text();
    assert!(fs::metadata(bench.at("s.teff")).unwrap().len() < fs::metadata(bench.at("m.teff")).unwrap().len());
    assert!(bench.teff(&["inspect", "s.teff"]).text().contains("no self-test"));
    let layers = bench.teff(&["eval", "s.teff", "--data", "x.npz", "--onnx", "tiny.onnx", "--layers"]);
    layers.failed_with(&["--no-debug-names"]);
}

#[test]
fn failures_say_what_to_do() {
    let bench = Bench::tiny();
    bench.teff(&["run", "no.teff", "x.npz"]).failed_with(&["cannot read no.teff"]);
    bench.teff(&["run", "tiny.teff", "no.npz"]).failed_with(&["no.npz", "no such file"]);
    bench.teff(&["run", "tiny.onnx", "x.npz"]).failed_with(&["tiny.onnx", "convert it first"]);
    bench.npz("wide.npz", &noise(&[2, 1, 6, 7]), None);
    bench.teff(&["run", "tiny.teff", "wide.npz"]).failed_with(&["wide.npz: array x", "[2, 1, 6, 7]", "[1, 1, 6, 6]"]);
    bench.npz("plain.npz", &noise(&[2, 1, 6, 6]), None);
    bench.teff(&["eval", "tiny.teff", "--data", "plain.npz"]).failed_with(&["plain.npz", "no labels", "--onnx"]);
    bench.npz("far.npz", &noise(&[2, 1, 6, 6]), Some(&[0, 3]));
    bench.teff(&["eval", "tiny.teff", "--data", "far.npz"]).failed_with(&["label 3", "3 classes"]);
    bench.npz("odd.npz", &noise(&[2, 1, 6, 6]), Some(&[0]));
    bench.teff(&["eval", "tiny.teff", "--data", "odd.npz"]).failed_with(&["1 labels for 2 samples"]);
    image::GrayImage::new(6, 6).save(bench.at("p.png")).unwrap();
    bench.teff(&["run", "tiny.teff", "p.png"]).failed_with(&["p.png", "--mean"]);
    bench.teff(&["run", "tiny.teff", "p.png", "--mean", "0", "--std", "1"]).text();
    image::GrayImage::new(5, 6).save(bench.at("q.png")).unwrap();
    bench.teff(&["run", "tiny.teff", "q.png", "--mean", "0"]).failed_with(&["q.png", "5x6", "--size 6x6"]);
    bench.teff(&["run", "tiny.teff", "q.png", "--mean", "0", "--size", "6x6"]).text();
    fs::write(bench.at("two.txt"), "a\nb\n").unwrap();
    let labels = ["convert", "tiny.onnx", "--calibration", "x.npz", "--labels", "two.txt"];
    bench.teff(&labels).failed_with(&["two.txt: 2 labels", "3 classes"]);
}

#[test]
fn a_damaged_file_is_refused() {
    let bench = Bench::tiny();
    let good = fs::read(bench.at("tiny.teff")).unwrap();
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    fs::write(bench.at("bad.teff"), &bad).unwrap();
    bench.teff(&["inspect", "bad.teff"]).failed_with(&["bad.teff", "damaged", "convert the model"]);
    fs::write(bench.at("cut.teff"), &good[..good.len() - 9]).unwrap();
    bench.teff(&["run", "cut.teff", "x.npz"]).failed_with(&["cut.teff", "truncated"]);
    fs::write(bench.at("text.teff"), "hello, world").unwrap();
    bench.teff(&["inspect", "text.teff"]).failed_with(&["not a .teff file"]);
}

#[test]
fn an_unsupported_model_leaves_the_old_file_alone() {
    let bench = Bench::tiny();
    let before = fs::read(bench.at("tiny.teff")).unwrap();
    fs::write(bench.at("odd.onnx"), tiny("Erf2").encode_to_vec()).unwrap();
    let convert = ["convert", "odd.onnx", "--calibration", "x.npz", "-o", "tiny.teff"];
    bench.teff(&convert).failed_with(&["odd.onnx", "the_erf2", "Erf2"]);
    fs::write(bench.at("text.onnx"), "hello, world").unwrap();
    let convert = ["convert", "text.onnx", "--calibration", "x.npz", "-o", "tiny.teff"];
    bench.teff(&convert).failed_with(&["text.onnx"]);
    bench.npz("nan.npz", &noise(&[2, 1, 6, 6]).mapv(|_| f32::NAN), None);
    let convert = ["convert", "tiny.onnx", "--calibration", "nan.npz"];
    bench.teff(&convert).failed_with(&["not finite"]);
    let nothing_to_go_by = ["convert", "tiny.onnx", "-o", "tiny.teff"];
    bench.teff(&nothing_to_go_by).failed_with(&["the model is not quantized", "--calibration"]);
    assert_eq!(fs::read(bench.at("tiny.teff")).unwrap(), before);
    let onto_itself = ["convert", "tiny.onnx", "--calibration", "x.npz", "-o", "tiny.onnx"];
    bench.teff(&onto_itself).failed_with(&["would replace the model"]);
}

#[test]
fn wrong_usage_exits_with_2() {
    let bench = Bench::new();
    let wrong: &[&[&str]] = &[
        &[],
        &["convert", "m.onnx", "--calibration", "x.npz", "--method", "guess"],
        &["convert", "m.onnx", "--calibration", "x.npz", "--input", "x"],
        &["convert", "m.onnx", "--calibration", "x.npz", "--activations", "12"],
        &["convert", "m.onnx", "--calibration", "x.npz", "--max-drop", "-1"],
        &["convert", "m.onnx", "--calibration", "x.npz", "--max-arena", "much"],
        &["convert", "--lm", "m.onnx", "--context", "64", "--max-arena", "32k"],
        &["convert", "m.onnx", "--calibration", "x.npz", "--stream", "x=0,1"],
        &["convert", "m.onnx", "--calibration", "x.npz", "--stream", "x=1,2", "--state", "a=b"],
        &["eval", "m.teff", "--data", "x.npz", "--layers"],
        &["run", "m.teff", "x.npz", "--top", "0"],
        &["frobnicate"],
    ];
    for args in wrong {
        let outcome = bench.teff(args);
        assert_eq!(outcome.code, Some(2), "{args:?}: {}", outcome.stderr);
        assert!(outcome.stdout.is_empty());
    }
    for command in ["convert", "run", "eval", "inspect", "demo"] {
        assert!(bench.teff(&[command, "--help"]).text().contains("Examples:"), "{command}");
    }
}
