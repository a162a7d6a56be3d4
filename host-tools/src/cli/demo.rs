//! `teff demo`

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anstyle::AnsiColor;
use anyhow::{Context, Result, bail};
use teff::Model;

use super::args::{PreprocessArgs, RoundingArg, board_names};
use super::output::{print, progress, spinner, write_atomically};
use super::teff_file::open_runs;
use super::{convert, eval, generate};
use crate::board::{self, BOARDS, Board, BoardRun};
use crate::calibrate::{Method, Samples};
use crate::data::Dataset;
use crate::interpreter::{Interpreter, quantize_inputs};
use crate::quantize::Width;
use crate::report::text::{grouped, lines, table};
use crate::report::{FloatModel, MemoryMap, ModelReport, evaluate};

/// The model that is shown.
const MODEL: &str = "models/lightcnn-mnist";
/// The model that writes.
const STORYTELLER: &str = "models/storyteller/model.teff";
/// What runs unless the user chooses: a Cortex-M4, the smallest Cortex-M, and a RISC-V.
const DEFAULT_BOARDS: [&str; 3] = ["mps2-an386", "microbit", "riscv-virt-imac"];
/// How many images each board runs.
const FRAMES: usize = 100;

/// Show the whole way: convert a trained CNN, evaluate it, and run it on emulated boards; and a language model
///
/// Takes models/lightcnn-mnist: calibrates and converts its model.onnx, measures the accuracy of both on real test
/// images, then builds the firmware of three emulated boards with the model in it, runs 100 of the same images there,
/// and compares every byte of the outputs with those of this computer. In the end models/storyteller writes three lines.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo teff demo
  cargo teff demo --board microbit
  cargo teff demo --activations 16
  cargo teff demo --no-boards

Boards whose target or emulator is not installed are left out, and the demo says what to install.")]
pub(super) struct Args {
    /// Run this board instead of the three; may be given several times
    #[arg(long = "board", value_name = "NAME", value_parser = board_names(BOARDS.iter().map(|b| b.name)))]
    boards: Vec<String>,
    /// Bits of an activation: 8 or 16
    #[arg(long, value_name = "BITS", default_value = "8")]
    activations: Width,
    /// Run no board
    #[arg(long, conflicts_with = "boards")]
    no_boards: bool,
}

/// How a board's outputs compare with this computer's.
struct Verdict {
    board: &'static Board,
    flash: u64,
    ram: u64,
    run: BoardRun,
    /// Index of the first image and byte that differ.
    difference: Option<(usize, usize)>,
}

pub(super) fn main(args: &Args) -> Result<()> {
    let start = Instant::now();
    let root = board::repository()?;
    let folder = root.join(MODEL);
    let work = root.join("target/demo");
    fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    let teff = work.join("lightcnn-mnist.teff");

    let bits = if args.activations == Width::Int16 { "int16" } else { "int8" };
    heading(&format!("1. Convert: float ONNX → {bits} .teff"))?;
    let converted = convert::run(&convert::Args {
        model: folder.join("model.onnx"),
        calibration: Some(folder.join("calibration.npz")),
        output: None,
        inputs: Vec::new(),
        states: Vec::new(),
        stream: None,
        method: Method::MinMax,
        activations: Some(args.activations),
        weights: None,
        keep_int16: Vec::new(),
        max_drop: None,
        max_arena: None,
        rounding: RoundingArg::default(),
        labels: Some(folder.join("labels.txt")),
        preprocess: PreprocessArgs::default(),
        no_debug_names: false,
        no_self_test: false,
        language: super::language::LanguageArgs::default(),
        json: false,
    })?;
    write_atomically(&teff, &converted.file)?;
    let model = Model::verify(&converted.file)?;
    let report = ModelReport::new(&model);
    let (macs, parameters) = (grouped(report.totals.macs), grouped(report.totals.parameters));
    let calibration = model.metadata_value("calibration").unwrap_or_default();
    let shown = teff.strip_prefix(&root).unwrap_or(&teff).display();
    print(&format!(
        "{MODEL}/model.onnx → {shown}\n{parameters} parameters, {macs} multiply-accumulates an image; calibrated on \
         {calibration}\n\n{}",
        convert::render_totals(&report, converted.plan.is_optimal)
    ))?;

    heading("2. Evaluate: both on the same real test images")?;
    let data = open_runs(&model, &folder.join("test-300.npz"), &PreprocessArgs::default())?;
    let float = FloatModel::load(&folder.join("model.onnx"), data.specs())?;
    let bar = progress("evaluating", data.len());
    let evaluation = evaluate(&model, Some(&float), &data, &|| bar.inc(1))?;
    bar.finish_and_clear();
    let seen = data.len();
    print(&format!(
        "{}\nthe first {seen} of the 10,000 official test images; {MODEL}/README.md measures all of them\n",
        eval::render(&evaluation)
    ))?;

    heading("3. Memory: what lies where, step by step")?;
    print(&MemoryMap::new(&model).render())?;

    if !args.no_boards {
        heading("4. Boards: the same images on emulated microcontrollers")?;
        let named = |board: &&Board| match args.boards.as_slice() {
            [] => DEFAULT_BOARDS.contains(&board.name),
            names => names.iter().any(|name| board::canonical(name) == board.name),
        };
        let chosen: Vec<&Board> = BOARDS.iter().filter(named).collect();
        run_boards(&chosen, &model, &teff, &data, !args.boards.is_empty())?;
    }
    let number = if args.no_boards { 4 } else { 5 };
    heading(&format!("{number}. Write: a language model in the same runtime"))?;
    tell(&root.join(STORYTELLER))?;
    print(&format!(
        "\n{:.1} s in all. Convert a model of your own: teff convert --help\n",
        start.elapsed().as_secs_f32()
    ))
}

/// Lets the language model write three lines.
fn tell(model: &Path) -> Result<()> {
    generate::main(&generate::Args {
        model: model.into(),
        prompt: "And the king said".to_string(),
        sampling: generate::SamplingArgs {
            temperature: 0.7,
            top_k: 0,
            top_p: 0.9,
            repetition_penalty: 1.0,
            seed: 5,
            tokens: 200,
            lines: Some(3),
            stop: Vec::new(),
            stop_scale: 1.0,
        },
        json: false,
    })
}

fn heading(text: &str) -> Result<()> {
    let bold = AnsiColor::Green.on_default().bold();
    print(&format!("\n{bold}{text}{bold:#}\n\n"))
}

/// Runs the first images on each board that is available, and compares.
fn run_boards(boards: &[&'static Board], model: &Model<'_>, teff: &Path, data: &Dataset, required: bool) -> Result<()> {
    let mut frames = Vec::new();
    let mut expected = Vec::new();
    let mut interpreter = Interpreter::new(model);
    let count = FRAMES.min(data.len());
    for index in 0..count {
        let inputs = data.inputs(index)?;
        frames.extend(quantize_inputs(model, &inputs)?.concat().into_iter().map(u8::cast_signed));
        let outputs = interpreter.run(&inputs)?.into_iter().flat_map(|output| output.bytes);
        expected.extend(outputs.map(u8::cast_signed));
    }
    let mut verdicts = Vec::new();
    for &board in boards {
        if let Err(missing) = board::availability(board) {
            if required {
                bail!("{}: {missing}", board.name);
            }
            let yellow = AnsiColor::Yellow.on_default();
            print(&format!("{yellow}left out{yellow:#} {} ({}): {missing}\n", board.name, board.description))?;
            continue;
        }
        let spinner = spinner(format!("{}: building its firmware, running {count} images", board.name));
        let verdict = verdict(board, teff, &frames, &expected, count);
        spinner.finish_and_clear();
        verdicts.push(verdict?);
    }
    if verdicts.is_empty() {
        return print("No board could be run.\n");
    }
    print(&render(&verdicts, count))?;
    let differing: Vec<String> = verdicts.iter().filter_map(Verdict::complaint).collect();
    if !differing.is_empty() {
        bail!("outputs differ from this computer's\n{}", differing.join("\n"));
    }
    Ok(())
}

fn verdict(board: &'static Board, teff: &Path, frames: &[i8], expected: &[i8], count: usize) -> Result<Verdict> {
    let elf = board::build(board, teff)?;
    let size = elf.size()?;
    let run = board::run(board, &elf, frames)?;
    let difference = first_difference(&run.outputs, expected, count);
    Ok(Verdict { board, flash: size.flash, ram: size.ram, run, difference })
}

/// The image and the byte of its output at which `found` first differs from `expected`, or ends too early or too late.
fn first_difference(found: &[i8], expected: &[i8], images: usize) -> Option<(usize, usize)> {
    let per_image = expected.len() / images.max(1);
    let differing = found.iter().zip(expected).position(|(f, e)| f != e);
    let ends = found.len().min(expected.len());
    let at = differing.or((found.len() != expected.len()).then_some(ends))?;
    Some((at / per_image.max(1), at % per_image.max(1)))
}

impl Verdict {
    fn complaint(&self) -> Option<String> {
        let (image, byte) = self.difference?;
        Some(format!("{}: first at image {image}, output byte {byte}", self.board.name))
    }
}

fn render(verdicts: &[Verdict], count: usize) -> String {
    let mut rows = table(&["board", "", ">flash", ">RAM", ">instructions/image", "outputs"]);
    for v in verdicts {
        let instructions = v.run.instructions.as_ref().map_or("not counted".to_string(), |n| grouped(n.mean()));
        rows.add_row([
            v.board.name.to_string(),
            v.board.description.to_string(),
            grouped(v.flash),
            grouped(v.ram),
            instructions,
            if v.difference.is_none() { "bit-identical" } else { "DIFFERENT" }.to_string(),
        ]);
    }
    let mut text = lines(&rows);
    let same = verdicts.iter().filter(|v| v.difference.is_none()).count();
    if same > 0 {
        let green = AnsiColor::Green.on_default().bold();
        let boards = if same == 1 { "1 board".to_string() } else { format!("{same} boards") };
        let outputs = verdicts.iter().find(|v| v.difference.is_none()).map_or(0, |v| v.run.outputs.len());
        let _ = writeln!(
            text,
            "\n{green}bit-identical{green:#}: {boards}, {count} images, {} output bytes each, every one as on this \
             computer",
            grouped(outputs)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_found() {
        assert_eq!(first_difference(&[1, 2, 3, 4], &[1, 2, 3, 4], 2), None);
        assert_eq!(first_difference(&[1, 2, 3, 5], &[1, 2, 3, 4], 2), Some((1, 1)));
        assert_eq!(first_difference(&[1, 2], &[1, 2, 3, 4], 2), Some((1, 0)));
        assert_eq!(first_difference(&[1, 2, 3, 4, 5], &[1, 2, 3, 4], 2), Some((2, 0)));
        assert_eq!(first_difference(&[], &[], 0), None);
    }
}
