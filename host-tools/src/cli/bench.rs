//! `teff bench`

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::builder::PossibleValuesParser;

use teff::Model;

use super::output::{print, print_json, spinner};
use super::teff_file::TeffFile;
use crate::board::bench::{BenchReport, MACHINES, by_name, measure};
use crate::board::{self, Board, tokens};
use crate::host_bench::{graph, language};
use crate::report::text::{grouped, lines, shape, table};

/// Count the instructions of each operator of a model, its code and its memory, on emulated cores
///
/// Builds a firmware that holds the runtime, the operators that the model names, and the model; runs the model's
/// self-test in QEMU, so that the bits are checked too; and counts instructions step by step. A language model is fed
/// tokens that it writes itself: the figures are of a token, mean over the first 32, and over as many as the cache holds, up
/// to 256. Instructions are not cycles.
///
/// With --board host: CPU time on this computer, one thread; of a language model tokens per CPU second. --float names the model
/// that it was made from, which then takes turns with it: an ONNX file in tract, a Hugging Face folder in plain f32. --threads
/// splits large steps over threads, and shows time on the wall.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo teff bench model.teff
  cargo teff bench model.teff --board mps2-an386 --board mps3-an547 --json
  cargo teff bench model.teff --board host --float model.onnx
  cargo teff bench story.teff --board host --float folder/

Code flash is everything in the firmware but the model: vector table, start-up code, runtime, operators, kernels.")]
pub(super) struct Args {
    /// The .teff model, with its self-test
    #[arg(value_name = "MODEL.teff")]
    model: PathBuf,
    /// The machine to run on; may be given several times [default: all that can be built for and emulated here]
    #[arg(long = "board", value_name = "NAME",
        value_parser = PossibleValuesParser::new(MACHINES.iter().map(|m| m.name).chain([HOST])))]
    boards: Vec<String>,
    /// With --board host: the float model to compare with, an ONNX file or a Hugging Face folder
    #[arg(long, value_name = "MODEL")]
    float: Option<PathBuf>,
    /// With --board host: threads that large steps are split over; not for language models
    #[arg(long, value_name = "COUNT", default_value_t = 1,
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=256))]
    threads: usize,
    /// Print JSON: an array, a report for each machine
    #[arg(long)]
    json: bool,
}

/// The name of this computer among the boards.
const HOST: &str = "host";

pub(super) fn main(args: &Args) -> Result<()> {
    let file = TeffFile::read(&args.model)?;
    let model = file.model()?;
    if args.boards.iter().any(|board| board == HOST) {
        ensure!(
            args.boards.len() == 1,
            "--board host stands alone: its figures are times, those of boards instructions"
        );
        return host(args, &model);
    }
    ensure!(args.float.is_none(), "--float is for --board host");
    ensure!(args.threads == 1, "--threads is for --board host");
    let own = tokens::is_language_model(&model).then(|| tokens::own_tokens(&model, tokens::TOKENS)).transpose()?;
    let mut reports = Vec::new();
    for machine in machines(args)? {
        let spinner = spinner(format!("{} …", machine.name));
        let report = match &own {
            Some(own) => tokens::measure(machine, &args.model, file.bytes(), own),
            None => measure(machine, &args.model, file.bytes()),
        };
        spinner.finish_and_clear();
        reports.push(report.with_context(|| machine.name.to_string())?);
    }
    match args.json {
        true => print_json(&reports),
        false => print(&reports.iter().map(render).collect::<Vec<_>>().join("\n")),
    }
}

/// Measures on this computer.
fn host(args: &Args, model: &Model<'_>) -> Result<()> {
    let float = args.float.as_deref();
    if tokens::is_language_model(model) {
        ensure!(args.threads == 1, "the steps of a language model are not split over threads");
        let report = language::measure(model, float)?;
        return match args.json {
            true => print_json(&report),
            false => print(&render_language(&report)),
        };
    }
    let report = graph::measure(model, float, args.threads)?;
    match args.json {
        true => print_json(&report),
        false => print(&render_graph(&report)),
    }
}

fn render_language(report: &language::LanguageReport) -> String {
    let mut rows = table(&["one thread", ">tokens per CPU second", ">ratio"]);
    let name = format!("Teff ({})", report.instructions);
    rows.add_row([name, format!("{:.0}", report.tokens_per_second), String::new()]);
    if let Some(plain) = &report.plain {
        let name = format!("plain f32 ({})", plain.instructions);
        rows.add_row([name, format!("{:.0}", plain.tokens_per_second), format!("{:.2}", plain.ratio)]);
    }
    let same =
        report.plain.as_ref().map_or_else(String::new, |p| format!("; the first {} are the same", p.same_tokens));
    format!("{}{} tokens a text, medians of {} texts{same}\n", lines(&rows), report.tokens, report.rounds)
}

fn render_graph(report: &graph::GraphReport) -> String {
    let mut rows = table(&[">step", "operator", "output", ">MACs", ">µs", ">MAC/ns"]);
    let rate = |macs: u64, time: f64| if macs > 0 { format!("{:.1}", macs as f64 / time / 1e3) } else { String::new() };
    for cost in &report.steps {
        rows.add_row([
            cost.step.index.to_string(),
            cost.step.op.clone(),
            shape(&cost.step.shape),
            grouped(cost.step.macs),
            format!("{:.2}", cost.microseconds),
            rate(cost.step.macs, cost.microseconds),
        ]);
    }
    let mut text = lines(&rows);
    let time = match report.threads {
        1 => "of CPU time an inference, one thread".to_string(),
        threads => format!("on the wall an inference, {threads} threads"),
    };
    let _ = writeln!(
        text,
        "{:.1} µs {time}, {}; {} MACs, {} a nanosecond",
        report.microseconds,
        report.instructions,
        grouped(report.macs),
        rate(report.macs, report.microseconds)
    );
    if let (Some(tract), Some(ratio)) = (report.tract_microseconds, report.tract_ratio) {
        let _ = writeln!(text, "{tract:.1} µs in tract with the float model: Teff is {ratio:.2} times as fast");
    }
    text
}

/// The machines that were asked for; without a wish, those that are available.
fn machines(args: &Args) -> Result<Vec<&'static Board>> {
    if !args.boards.is_empty() {
        let mut machines = Vec::new();
        for name in &args.boards {
            let machine = by_name(name).with_context(|| format!("no machine {name}"))?;
            board::availability(machine).map_err(|why| anyhow::anyhow!("{name}: {why}"))?;
            machines.push(machine);
        }
        return Ok(machines);
    }
    let mut machines = Vec::new();
    for machine in MACHINES {
        match board::availability(machine) {
            Ok(()) => machines.push(machine),
            Err(why) => anstream::eprintln!("left out {}: {why}", machine.name),
        }
    }
    if machines.is_empty() {
        bail!("no machine can be emulated here");
    }
    Ok(machines)
}

fn render(report: &BenchReport) -> String {
    let mut rows = table(&[">step", "operator", "output", ">MACs", ">instructions", ">instr/MAC", ">scratch"]);
    let per_mac = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.2}"));
    for cost in &report.steps {
        rows.add_row([
            cost.step.index.to_string(),
            cost.step.op.clone(),
            shape(&cost.step.shape),
            grouped(cost.step.macs),
            grouped(cost.instructions),
            per_mac(cost.per_mac()),
            grouped(cost.step.scratch_bytes as u64),
        ]);
    }
    rows.add_row([
        String::new(),
        "all".to_string(),
        String::new(),
        grouped(report.macs),
        grouped(report.instructions),
        per_mac((report.macs > 0).then(|| report.per_mac())),
        String::new(),
    ]);
    let mut text = format!("{} ({})\n{}", report.board, report.description, lines(&rows));
    let _ = writeln!(
        text,
        "code flash {}   model {}   arena {}   RAM {} (without stack)",
        grouped(report.code_flash),
        grouped(report.model_flash as u64),
        grouped(report.arena as u64),
        grouped(report.ram),
    );
    if let Some(tokens) = &report.tokens {
        let stack = tokens.stack.map_or_else(|| "unknown".to_string(), grouped);
        let _ = writeln!(
            text,
            "a token: mean of the first {} above; of {} {}   RAM {} (stack {stack})",
            tokens.first,
            tokens.count,
            grouped(tokens.mean),
            grouped(tokens.ram),
        );
    }
    text
}
