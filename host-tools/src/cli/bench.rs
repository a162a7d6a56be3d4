//! `teff bench`

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::builder::PossibleValuesParser;

use super::output::{print, print_json, spinner};
use super::teff_file::TeffFile;
use crate::board::bench::{BenchReport, MACHINES, by_name, measure};
use crate::board::{self, Board};
use crate::report::text::{grouped, lines, shape, table};

/// Count the instructions of each operator of a model, its code and its memory, on emulated cores
///
/// Builds a firmware that holds the runtime, the operators that the model names, and the model; runs the model's
/// self-test in QEMU, so that the bits are checked too; and counts instructions step by step. Instructions are not
/// cycles.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo teff bench model.teff
  cargo teff bench model.teff --board mps2-an386 --board mps3-an547 --json

Code flash is everything in the firmware but the model: vector table, start-up code, runtime, operators, kernels.")]
pub(super) struct Args {
    /// The .teff model, with its self-test
    #[arg(value_name = "MODEL.teff")]
    model: PathBuf,
    /// The machine to run on; may be given several times [default: all that can be built for and emulated here]
    #[arg(long = "board", value_name = "NAME",
        value_parser = PossibleValuesParser::new(MACHINES.iter().map(|m| m.name)))]
    boards: Vec<String>,
    /// Print JSON: an array, a report for each machine
    #[arg(long)]
    json: bool,
}

pub(super) fn main(args: &Args) -> Result<()> {
    let file = TeffFile::read(&args.model)?;
    file.model()?;
    let mut reports = Vec::new();
    for machine in machines(args)? {
        let spinner = spinner(format!("{} …", machine.name));
        let report = measure(machine, &args.model, file.bytes());
        spinner.finish_and_clear();
        reports.push(report.with_context(|| machine.name.to_string())?);
    }
    match args.json {
        true => print_json(&reports),
        false => print(&reports.iter().map(render).collect::<Vec<_>>().join("\n")),
    }
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
    text
}
