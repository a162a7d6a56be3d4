//! `teff convert`

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use ndarray::ArrayD;
use serde::Serialize;
use sha2::{Digest, Sha256};
use teff::Model;

use super::args::{PreprocessArgs, RoundingArg, parse_bytes, parse_percent, parse_state};
use super::language::LanguageArgs;
use super::mixed;
use super::output;
use crate::calibrate::{self, Method, Samples};
use crate::chain::Chain;
use crate::convert::search::{self, SearchReport};
use crate::convert::{Converted, Options, calibration_wanted, convert};
use crate::data::{Dataset, InputSpec, Preprocess};
use crate::ir::Graph;
use crate::quantize::Width;
use crate::report::text::{grouped, lines, table};
use crate::report::{ModelReport, is_vector};
use crate::stream::{Stream, Streamed, Whole, named_shape};
use crate::{import, passes, quantize};

/// Convert an ONNX or TensorFlow Lite model to a .teff file
///
/// A float model is quantized to int8 (weights by channel) with the ranges that its activations take on a calibration
/// set: 100 to 500 samples of what it will see, such as training samples. A model that is quantized already keeps its
/// scales and integers, and needs no calibration set.
/// Where int8 loses too much, activations become int16: all of them, those of some layers, or as few as a goal asks for.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  teff convert model.onnx --calibration calibration.npz --labels labels.txt
  teff convert model.onnx --calibration pictures/ --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --size 96x96
  teff convert ocr.onnx --calibration lines.npz --input x=1,3,48,192 -o ocr.teff
  teff convert denoise.onnx --calibration frames.npz --state h_in=h_out
  teff convert keyword.onnx --calibration windows.npz --stream features=1,1,2,40
  teff convert quantized.tflite
  teff convert --lm folder/ --context 256 --weights 4 --text sample.txt -o model.teff
  teff convert --lm model.onnx --context 512 --tokenizer tokenizer.json
  teff convert audio.onnx --calibration frames.npz --activations 16
  teff convert model.onnx --calibration calibration.npz --max-drop 0.5
  teff convert model.onnx --calibration calibration.npz --max-arena 32k

A calibration set is an .npz (array x, or arrays named as the inputs; the first axis is the sample), or a folder of
.npy, .png or .jpg. Arrays of uint8 are pixels; arrays of floats go straight to the model.")]
pub(super) struct Args {
    /// The ONNX or TensorFlow Lite model
    #[arg(value_name = "MODEL")]
    pub(super) model: PathBuf,
    /// Samples to calibrate with: .npz, or a folder of .npy or pictures; not needed if the model is quantized throughout
    #[arg(long, value_name = "SET")]
    pub(super) calibration: Option<PathBuf>,
    /// Where to write the .teff [default: beside the model]
    #[arg(short, long, value_name = "OUT.teff")]
    pub(super) output: Option<PathBuf>,
    /// Fix the shape of an input, in the ONNX layout
    #[arg(long = "input", value_name = "NAME=SHAPE", value_parser = named_shape)]
    pub(super) inputs: Vec<(String, Vec<usize>)>,
    /// Keep a tensor from one run to the next: the model's output OUT is its input IN in the next run, and 0 in the first.
    /// The calibration set is then one sequence
    #[arg(long = "state", value_name = "IN=OUT", value_parser = parse_state)]
    pub(super) states: Vec<(String, String)>,
    /// Make of a model of a window one of a stream: a run takes the newest columns of input NAME, whose shape is the window's with
    /// one axis shorter, and keeps what it will need again. Once a window has passed, the outputs are the window's, bit for
    /// bit. Samples are windows
    #[arg(long, value_name = "NAME=SHAPE", value_parser = named_shape, conflicts_with_all = ["lm", "states"])]
    pub(super) stream: Option<(String, Vec<usize>)>,
    /// How ranges are chosen: min-max, percentile, percentile:P (such as 99.9), mse, or auto, which tries these and takes
    /// the one whose int8 model agrees best with the float model on the calibration set
    #[arg(long, default_value = "auto")]
    pub(super) method: Method,
    /// Bits of an activation: 8 or 16 [default: 8; 16 with --lm]
    #[arg(long, value_name = "BITS")]
    pub(super) activations: Option<Width>,
    /// Bits of a weight: auto, 8 or 16; with --lm 8, 4 or 2. Auto is 16 only with activations of 16 bits, and only if
    /// weights of 8 alone would cost more than they should [default: auto; 8 with --lm]
    #[arg(long, value_name = "BITS")]
    pub(super) weights: Option<String>,
    /// Layers (or inputs) that read and write int16, by name
    #[arg(long, value_name = "NODE", num_args = 1.., value_delimiter = ',')]
    pub(super) keep_int16: Vec<String>,
    /// Find the fewest activations in int16 with which the model is at most this much worse than float, in percent: of
    /// samples whose class differs from the float model's, or, if the output is no vector of classes, of cosine distance
    #[arg(long, value_name = "PERCENT", value_parser = parse_percent)]
    pub(super) max_drop: Option<f64>,
    /// The most bytes of RAM within a run, such as 32768 or 32k. Where a plan needs more, convolutions that follow one another become
    /// one step, which computes them a band of rows at a time: the same bits, with somewhat more instructions
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, conflicts_with = "lm")]
    pub(super) max_arena: Option<usize>,
    /// How results are rounded whose scale a quantized model prescribes: once, or twice as TensorFlow Lite's kernels do.
    /// Auto is tflite for .tflite files and for ONNX files that tf2onnx made of them, else once
    #[arg(long, value_name = "auto|once|tflite", default_value = "auto")]
    pub(super) rounding: RoundingArg,
    /// Names of the classes, a line each
    #[arg(long, value_name = "FILE")]
    pub(super) labels: Option<PathBuf>,
    #[command(flatten)]
    pub(super) preprocess: PreprocessArgs,
    /// Leave the names of steps and tensors out of the file
    #[arg(long)]
    pub(super) no_debug_names: bool,
    /// Leave the self-test out of the file
    #[arg(long)]
    pub(super) no_self_test: bool,
    #[command(flatten)]
    pub(super) language: LanguageArgs,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What was made.
#[derive(Serialize)]
struct Summary {
    /// With `--max-drop`: which activations are int16, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    search: Option<SearchReport>,
    /// With `--max-arena`: convolutions that became one step.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    chains: Vec<Chain>,
    /// With `--stream`: what became of the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<Streamed>,
    /// The file.
    output: String,
    /// The set it was calibrated on.
    calibration: String,
    /// Whether branch and bound, or the lower bound, shows that no plan of these steps needs less arena.
    arena_is_optimal: bool,
    #[serde(flatten)]
    report: ModelReport,
}

pub(super) fn main(args: &Args) -> Result<()> {
    if args.language.lm {
        let names = !args.no_debug_names;
        let activations = args.activations.unwrap_or(Width::Int16);
        let weights = args.weights.as_deref().unwrap_or("8");
        return super::language::main(
            &args.language,
            (weights, activations),
            &args.model,
            args.output.as_deref(),
            names,
            args.json,
        );
    }
    let path = args.output.clone().unwrap_or_else(|| args.model.with_extension("teff"));
    ensure!(path != args.model, "the output would replace the model: choose another with -o");
    let converted = run(args)?;
    output::write_atomically(&path, &converted.file)?;
    let model = Model::verify(&converted.file)?;
    let summary = Summary {
        output: path.display().to_string(),
        calibration: model.metadata_value("calibration").unwrap_or_default().to_string(),
        arena_is_optimal: converted.plan.is_optimal,
        report: ModelReport::new(&model),
        search: converted.search.clone(),
        chains: converted.chains.clone(),
        stream: converted.streamed.clone(),
    };
    match args.json {
        true => output::print_json(&summary),
        false => output::print(&summary.render()),
    }
}

/// Loads, calibrates and converts; writes nothing.
pub(super) fn run(args: &Args) -> Result<Converted> {
    let source = fs::read(&args.model).with_context(|| format!("cannot read {}", args.model.display()))?;
    let spinner = output::spinner(format!("reading {}", args.model.display()));
    let graph = load_graph(&args.model, &args.inputs, &args.states, args.rounding)?;
    spinner.finish_and_clear();
    let labels = args.labels.as_deref().map(|path| read_labels(path, &graph)).transpose()?;
    let classes: Vec<&str> = labels.iter().flat_map(|text| text.lines()).collect();
    let usual = if import::takes_bytes(&source) { Preprocess::bytes() } else { Preprocess::default() };
    let preprocess = args.preprocess.over(Some(usual)).unwrap_or_default();
    let inputs = InputSpec::of_graph(&graph);
    let has_pixels = |data: &Option<Dataset>| data.as_ref().is_some_and(Dataset::has_pixels);
    let open = |path: &PathBuf| Dataset::open(path, inputs.clone(), Some(preprocess.clone()), &classes);
    let data = args.calibration.as_ref().map(open).transpose()?;
    if !has_pixels(&data) && args.preprocess.given() {
        inputs.iter().try_for_each(|input| preprocess.check(input))?;
    }
    let missing = quantize::uncalibrated(&graph);
    ensure!(
        data.is_some() || missing.is_empty(),
        "{}: {}: give it with --calibration SET",
        args.model.display(),
        calibration_wanted(&graph, &missing)
    );

    let calibration = match &data {
        Some(data) if !missing.is_empty() => format!("{}: {} samples, {}", data.name(), data.len(), args.method),
        _ => "none: the model's own scales".to_string(),
    };
    let mut metadata = vec![
        ("tool".to_string(), format!("teff {}", env!("CARGO_PKG_VERSION"))),
        ("source".to_string(), file_name(&args.model)),
        ("source_sha256".to_string(), hex(&Sha256::digest(&source))),
        ("calibration".to_string(), calibration),
    ];
    if !args.states.is_empty() {
        let pairs: Vec<String> = args.states.iter().map(|(input, output)| format!("{input}={output}")).collect();
        metadata.push(("states".to_string(), pairs.join("\n")));
    }
    metadata.extend(labels.map(|labels| ("labels".to_string(), labels)));
    if has_pixels(&data) || args.preprocess.given() {
        metadata.push(("preprocess".to_string(), serde_json::to_string(&preprocess)?));
    }
    // Pixels have a range by definition: with it, each of their values becomes an int8 exactly.
    let is_pixels = |i: usize| data.as_ref().is_some_and(|data| data.input_is_pixels(i));
    let range = |i: usize| is_pixels(i).then(|| preprocess.range());
    let options = Options {
        method: args.method,
        input_ranges: (0..inputs.len()).map(range).collect(),
        activations: args.activations.unwrap_or_default(),
        weights: args.weights.as_deref().map(str::parse).transpose()?.unwrap_or_default(),
        keep_int16: args.keep_int16.clone(),
        max_drop: args.max_drop,
        max_arena: args.max_arena,
        stream: args.stream.clone().map(|(input, shape)| Stream { input, shape }),
        metadata,
        debug_names: !args.no_debug_names,
        self_test: !args.no_self_test,
    };
    let nothing: Vec<Vec<ArrayD<f32>>> = Vec::new();
    let samples: &dyn Samples = data.as_ref().map_or(&nothing, |data| data);
    let tried = if args.max_drop.is_some() { search::candidates(&graph).len() } else { 0 };
    let bar = output::progress("calibrating", samples.len() * calibrate::passes(args.method) + tried);
    let converted = convert(&graph, samples, &options, &|| bar.inc(1));
    bar.finish_and_clear();
    converted.with_context(|| format!("{}: cannot be converted", args.model.display()))
}

/// The graph that is converted.
pub(super) fn load_graph(
    path: &Path,
    shapes: &[(String, Vec<usize>)],
    states: &[(String, String)],
    RoundingArg(rounding): RoundingArg,
) -> Result<Graph> {
    let options = import::Options { input_shapes: shapes.to_vec(), states: states.to_vec(), rounding };
    let mut graph = import::load(path, &options)?;
    passes::run(&mut graph)?;
    Ok(graph)
}

/// One label a line, as many as the model has classes.
fn read_labels(path: &Path, graph: &Graph) -> Result<String> {
    let what = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {what}"))?;
    let labels: Vec<&str> = text.lines().map(str::trim_end).collect();
    ensure!(labels.iter().all(|label| !label.is_empty()), "{what}: has an empty line");
    if let [output] = graph.outputs.as_slice() {
        let shape = &graph.value(output.value).shape;
        let classes = shape.iter().product::<usize>();
        ensure!(
            !is_vector(shape) || classes == labels.len(),
            "{what}: {} labels, but output {} has {classes} classes",
            labels.len(),
            output.name
        );
    }
    Ok(labels.join("\n"))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Two digits a byte.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Summary {
    fn render(&self) -> String {
        let mut text = format!("{}, calibration: {}\n\n", self.output, self.calibration);
        let mut ops: BTreeMap<&str, (usize, u64, usize, usize)> = BTreeMap::new();
        for step in &self.report.steps {
            let (steps, macs, parameters, bytes) = ops.entry(&step.op).or_default();
            *steps += 1;
            *macs += step.macs;
            *parameters += step.parameters;
            *bytes += step.constant_bytes;
        }
        let totals = &self.report.totals;
        let mut rows = table(&["operator", ">steps", ">MACs", ">parameters", ">bytes of constants"]);
        let mut all_bytes = 0;
        for (op, (steps, macs, parameters, bytes)) in ops {
            all_bytes += bytes;
            rows.add_row([op.to_string(), grouped(steps), grouped(macs), grouped(parameters), grouped(bytes)]);
        }
        let steps = grouped(self.report.steps.len());
        rows.add_row(["all".to_string(), steps, grouped(totals.macs), grouped(totals.parameters), grouped(all_bytes)]);
        let _ = write!(text, "{}\n{}", lines(&rows), render_totals(&self.report, self.arena_is_optimal));
        for Chain { nodes, rows } in &self.chains {
            let unit = if *rows == 1 { "row" } else { "rows" };
            let _ = writeln!(text, "\none step, {rows} {unit} at a time: {}", nodes.join(", "));
        }
        if let Some(Streamed { input, columns, new, runs, whole, .. }) = &self.stream {
            let _ = writeln!(
                text,
                "\n{input} is a stream: {new} of {columns} columns a run; its outputs are a window's from run {runs} on"
            );
            for Whole { node, why } in whole {
                let _ = writeln!(text, "from {node} on the whole window is computed in each run: {why}");
            }
        }
        if let Some(search) = &self.search {
            let _ = write!(text, "\n{}", mixed::render(search));
        }
        text
    }
}

/// Flash and RAM, a line each. `arena_is_optimal` if it is known that no plan needs less.
pub(super) fn render_totals(report: &ModelReport, arena_is_optimal: bool) -> String {
    let totals = &report.totals;
    let rest = totals.file_bytes - totals.weight_bytes;
    let mut rows = table(&["memory", ">bytes", ""]);
    let weights = format!("flash: {} of weights, {} of the rest", grouped(totals.weight_bytes), grouped(rest));
    rows.add_row(["file".to_string(), grouped(totals.file_bytes), weights]);
    let known = if arena_is_optimal { ", no plan needs less" } else { "" };
    let bound = format!("RAM within a run; lower bound {}{known}", grouped(totals.arena_lower_bound));
    rows.add_row(["arena".to_string(), grouped(totals.arena_bytes), bound]);
    rows.add_row(["state".to_string(), grouped(totals.state_bytes), "RAM from run to run".to_string()]);
    lines(&rows)
}
