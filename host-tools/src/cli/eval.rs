//! `teff eval`

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use comfy_table::Cell;
use serde::Serialize;
use teff::Model;

use super::args::{PreprocessArgs, RoundingArg, parse_state};
use super::convert::load_graph;
use super::output;
use super::teff_file::{TeffFile, open_windows};
use crate::calibrate::Samples;
use crate::lm::host;
use crate::report::text::{lines, marked, table};
use crate::report::{Accuracy, Evaluation, FloatModel, LayerReport, compare_layers, evaluate};

/// Measure the accuracy of a .teff, beside that of the float model it was made from
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  teff eval model.teff --data test.npz
  teff eval model.teff --data test.npz --onnx model.onnx --layers
  teff eval model.teff --data pictures/ --limit 100 --json

A labelled set is an .npz with array y, or a folder with a subfolder for each class. With --onnx, tract runs the float
model on the same samples; --layers then tells how many decibels each layer's signal is above its quantization noise.")]
pub(super) struct Args {
    /// The .teff model
    #[arg(value_name = "MODEL.teff")]
    model: PathBuf,
    /// Samples: .npz, or a folder of .npy or pictures
    #[arg(long, value_name = "SET", required_unless_present = "perplexity")]
    data: Option<PathBuf>,
    /// Measure a language model's perplexity on a text; documents stand between lines <|endoftext|>
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["data", "onnx"])]
    perplexity: Option<PathBuf>,
    /// The float model
    #[arg(long, value_name = "MODEL.onnx")]
    onnx: Option<PathBuf>,
    /// Compare layer by layer with the float model
    #[arg(long, requires = "onnx")]
    layers: bool,
    /// Use the first N samples
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    #[command(flatten)]
    preprocess: PreprocessArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct EvalReport {
    model: String,
    data: String,
    #[serde(flatten)]
    evaluation: Evaluation,
    /// With `--layers`.
    layers: Option<Vec<LayerReport>>,
}

/// Perplexity of a language model.
fn perplexity(args: &Args, model: &teff::Model<'_>, path: &std::path::Path) -> Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let tokenizer = teff::lm::Tokenizer::of(model).with_context(|| args.model.display().to_string())?;
    let mut documents = host::documents(&text);
    documents.truncate(args.limit.map_or(usize::MAX, |limit| limit as usize));
    let documents = documents.into_iter().map(|d| host::encode(&tokenizer, d)).collect::<Result<Vec<_>>>()?;
    let bar = output::progress("scoring", documents.len());
    let found = crate::lm::perplexity::perplexity(model, &documents, &|| bar.inc(1))?;
    bar.finish_and_clear();
    if args.json {
        return output::print_json(&found);
    }
    let (count, tokens) = (documents.len(), crate::report::text::grouped(found.tokens));
    output::print(&format!(
        "perplexity {:.4} ({:.4} nats a token) over {tokens} tokens of {count} documents\n",
        found.perplexity, found.nats
    ))
}

pub(super) fn main(args: &Args) -> Result<()> {
    let file = TeffFile::read(&args.model)?;
    let model = file.model()?;
    if let Some(text) = &args.perplexity {
        return perplexity(args, &model, text);
    }
    let set = args.data.as_deref().context("no samples: --data names them")?;
    let mut data = open_windows(&model, set, &args.preprocess)?;
    if let Some(limit) = args.limit {
        data.truncate(limit as usize);
    }
    ensure!(
        data.labels().is_some() || args.onnx.is_some(),
        "{}: has no labels: add an array y to the .npz, sort the files into a subfolder for each class, or compare with \
         the float model by --onnx",
        set.display()
    );
    let float = args.onnx.as_ref().map(|path| FloatModel::load(path, data.specs())).transpose()?;
    let bar = output::progress("evaluating", data.len());
    let evaluation = evaluate(&model, float.as_ref(), &data, &|| bar.inc(1));
    bar.finish_and_clear();
    let layers = match &args.onnx {
        Some(path) if args.layers => {
            ensure!(
                model.metadata_value("stream").is_none(),
                "{}: a stream: compare the layers of the window's model, which have the same numbers",
                args.model.display()
            );
            let shapes: Vec<_> = data.specs().iter().map(|input| (input.name.clone(), input.onnx_shape())).collect();
            let graph = load_graph(path, &shapes, &states(&model)?, RoundingArg::default())?;
            let bar = output::progress("layers", data.len());
            let layers = compare_layers(&model, &graph, &data, &|| bar.inc(1));
            bar.finish_and_clear();
            Some(layers?)
        }
        _ => None,
    };
    let report = EvalReport {
        model: args.model.display().to_string(),
        data: set.display().to_string(),
        evaluation: evaluation?,
        layers,
    };
    match args.json {
        true => output::print_json(&report),
        false => output::print(&report.render()),
    }
}

/// The pairs of inputs and outputs that became state when the model was converted.
fn states(model: &Model<'_>) -> Result<Vec<(String, String)>> {
    model.metadata_value("states").into_iter().flat_map(str::lines).map(parse_state).collect()
}

impl EvalReport {
    fn render(&self) -> String {
        let mut text = format!("{} on {}\n\n{}", self.model, self.data, render(&self.evaluation));
        if let Some(layers) = &self.layers {
            let _ = writeln!(text, "\nSignal to quantization noise, earlier layers' noise included:\n");
            let mut rows = table(&[">step", "operator", "tensor", ">dB", ""]);
            for layer in layers {
                let db = layer.sqnr_db.map_or_else(|| "exact".to_string(), |db| format!("{db:.1}"));
                let (db, mark) = if layer.worst { (marked(db), "◀ among the worst") } else { (Cell::new(db), "") };
                let name = Cell::new(&layer.name);
                rows.add_row([Cell::new(layer.step), Cell::new(&layer.op), name, db, Cell::new(mark)]);
            }
            text += &lines(&rows);
        }
        text
    }
}

/// Accuracies side by side.
pub(super) fn render(evaluation: &Evaluation) -> String {
    let mut rows = table(&["", ">correct", ">samples", ">share"]);
    let mut row = |name: &str, accuracy: Option<Accuracy>| {
        if let Some(Accuracy { correct, samples, share }) = accuracy {
            rows.add_row([
                name.to_string(),
                correct.to_string(),
                samples.to_string(),
                format!("{:.2} %", share * 100.0),
            ]);
        }
    };
    row("float .onnx", evaluation.float);
    row(&format!("{} .teff", evaluation.activations), evaluation.teff);
    row("both name the same class", evaluation.agreement);
    let mut text = String::new();
    if !rows.is_empty() {
        text += &lines(&rows);
    }
    if let Some(cosine) = evaluation.cosine {
        let gap = if text.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{gap}outputs: cosine {:.5} on average, {:.5} at worst", cosine.mean, cosine.min);
    }
    text
}
