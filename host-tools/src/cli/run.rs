//! `teff run`

use std::fmt::Write;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use ndarray::{ArrayD, Axis, IxDyn};
use ndarray_npy::{NpzWriter, WriteNpyExt};
use serde::Serialize;
use teff::Model;

use super::args::PreprocessArgs;
use super::output as out;
use super::teff_file::{TeffFile, open_windows};
use crate::calibrate::Samples;
use crate::interpreter::{Interpreter, Output};
use crate::report::text::{self, table};
use crate::report::{is_vector, width_name};

/// Run a .teff model on samples, bit for bit as a board does
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  teff run model.teff digit.png
  teff run model.teff test.npz --top 1 --json
  teff run model.teff sample.npy --output result.npy

Pixels are prepared as at conversion: the .teff says how.")]
pub(super) struct Args {
    /// The .teff model
    #[arg(value_name = "MODEL.teff")]
    model: PathBuf,
    /// What to run it on: .npy, .npz, .png, .jpg, or a folder of them
    input: PathBuf,
    /// How many classes to list for each sample
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    /// Write the outputs as float32, one after another along the first axis; .npz if there are several
    #[arg(long, value_name = "FILE.npy")]
    output: Option<PathBuf>,
    #[command(flatten)]
    preprocess: PreprocessArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What a sample gave.
#[derive(Serialize)]
struct SampleReport {
    outputs: Vec<OutputReport>,
}

#[derive(Serialize)]
struct OutputReport {
    name: String,
    /// In the ONNX layout.
    shape: Vec<usize>,
    values: Vec<f32>,
    /// The integers as the device has them, in its layout.
    quantized: Vec<i32>,
    /// The largest, if the output is a vector.
    top: Vec<Class>,
}

#[derive(Serialize)]
struct Class {
    class: usize,
    label: Option<String>,
    value: f32,
    quantized: i32,
}

pub(super) fn main(args: &Args) -> Result<()> {
    let file = TeffFile::read(&args.model)?;
    let model = file.model()?;
    let data = open_windows(&model, &args.input, &args.preprocess)?;
    let mut interpreter = Interpreter::new(&model);
    let bar = out::progress("running", data.len());
    let mut samples = Vec::new();
    for index in 0..data.len() {
        let inputs = data.inputs(index).with_context(|| format!("sample {index}"))?;
        samples.push(interpreter.run(&inputs)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    if let Some(path) = &args.output {
        write_outputs(path, &samples)?;
    }
    let labels: Vec<&str> = model.labels().collect();
    let top = args.top as usize;
    let reports: Vec<SampleReport> = samples.iter().map(|outputs| sample_report(outputs, &labels, top)).collect();
    match args.json {
        true => out::print_json(&reports),
        false => out::print(&render(&model, &reports)),
    }
}

fn sample_report(outputs: &[Output], labels: &[&str], top: usize) -> SampleReport {
    let report = |output: &Output| OutputReport {
        name: output.name.clone(),
        shape: output.real.shape().to_vec(),
        values: output.real.iter().copied().collect(),
        quantized: output.quantized.clone(),
        top: if is_vector(output.real.shape()) { ranked(output, labels, top) } else { Vec::new() },
    };
    SampleReport { outputs: outputs.iter().map(report).collect() }
}

/// The `top` largest elements, of equal ones the first.
fn ranked(output: &Output, labels: &[&str], top: usize) -> Vec<Class> {
    // A vector is the same in both layouts: index for index.
    let mut order: Vec<usize> = (0..output.quantized.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(output.quantized[i]));
    let values: Vec<f32> = output.real.iter().copied().collect();
    let class = |class: usize| Class {
        class,
        label: labels.get(class).map(ToString::to_string),
        value: values[class],
        quantized: output.quantized[class],
    };
    order.into_iter().take(top).map(class).collect()
}

fn render(model: &Model<'_>, samples: &[SampleReport]) -> String {
    let mut text = String::new();
    let outputs = samples.first().map_or(0, |sample| sample.outputs.len());
    for place in 0..outputs {
        let of_place = || samples.iter().enumerate().map(|(i, sample)| (i, &sample.outputs[place]));
        let Some((_, first)) = of_place().next() else { continue };
        let _ = writeln!(text, "output {}, {}", first.name, text::shape(&first.shape));
        if first.top.is_empty() {
            let mut rows = table(&[">sample", ">min", ">mean", ">max"]);
            for (i, output) in of_place() {
                let (min, mean, max) = extremes(&output.values);
                rows.add_row([i.to_string(), format!("{min:.5}"), format!("{mean:.5}"), format!("{max:.5}")]);
            }
            text += &text::lines(&rows);
            continue;
        }
        let labelled = model.labels().next().is_some();
        let integer = format!(">{}", width_name(model));
        let mut titles = vec![">sample", ">class", ">value", integer.as_str()];
        if labelled {
            titles.push("label");
        }
        let mut rows = table(&titles);
        for (i, output) in of_place() {
            for (rank, class) in output.top.iter().enumerate() {
                let sample = if rank == 0 { i.to_string() } else { String::new() };
                let value = format!("{:.5}", class.value);
                let mut row = vec![sample, class.class.to_string(), value, class.quantized.to_string()];
                if labelled {
                    row.push(class.label.clone().unwrap_or_default());
                }
                rows.add_row(row);
            }
        }
        text += &text::lines(&rows);
    }
    text
}

fn extremes(values: &[f32]) -> (f32, f32, f32) {
    let min = values.iter().copied().fold(f32::INFINITY, f32::min);
    let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    (min, values.iter().sum::<f32>() / values.len().max(1) as f32, max)
}

/// One array for each output, the samples along the first axis.
fn write_outputs(path: &Path, samples: &[Vec<Output>]) -> Result<()> {
    let what = path.display();
    let outputs = samples.first().map_or(0, Vec::len);
    let arrays: Vec<(&str, ArrayD<f32>)> = (0..outputs)
        .map(|place| Ok((samples[0][place].name.as_str(), stacked(samples, place)?)))
        .collect::<Result<_>>()?;
    let mut bytes = Cursor::new(Vec::new());
    match path.extension().and_then(|e| e.to_str()) {
        Some("npy") => {
            ensure!(arrays.len() == 1, "{what}: the model has {outputs} outputs: write an .npz");
            arrays[0].1.write_npy(&mut bytes)?;
        }
        Some("npz") => {
            let mut npz = NpzWriter::new(&mut bytes);
            for (name, array) in &arrays {
                npz.add_array(*name, array)?;
            }
            npz.finish()?;
        }
        _ => bail!("{what}: outputs are written as .npy or .npz"),
    }
    out::write_atomically(path, bytes.get_ref())
}

/// Output `place` of all samples; an axis for a batch of 1 becomes that of the samples.
fn stacked(samples: &[Vec<Output>], place: usize) -> Result<ArrayD<f32>> {
    let views: Vec<_> = samples.iter().map(|outputs| outputs[place].real.view()).collect();
    let batched = views.first().is_some_and(|first| first.shape().first() == Some(&1));
    let array = if batched { ndarray::concatenate(Axis(0), &views)? } else { ndarray::stack(Axis(0), &views)? };
    let shape = array.shape().to_vec();
    Ok(array.as_standard_layout().into_owned().into_shape_with_order(IxDyn(&shape))?)
}
