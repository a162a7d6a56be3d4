//! `teff inspect`

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Serialize;
use teff::{SelfTestError, Session};

use super::convert::render_totals;
use super::output;
use super::teff_file::TeffFile;
use crate::aligned::AlignedBytes;
use crate::report::text::{grouped, lines, shape, table};
use crate::report::{MemoryMap, ModelReport, PortReport};

/// Verify a .teff file, run its self-test, and show what is in it and what it costs
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  teff inspect model.teff
  teff inspect model.teff --map
  teff inspect model.teff --json")]
pub(super) struct Args {
    /// The .teff model
    #[arg(value_name = "MODEL.teff")]
    model: PathBuf,
    /// Draw which tensor lies where in the arena at which step
    #[arg(long)]
    map: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Inspection {
    #[serde(flatten)]
    report: ModelReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_map: Option<MemoryMap>,
}

pub(super) fn main(args: &Args) -> Result<()> {
    let file = TeffFile::read(&args.model)?;
    let model = file.model()?;
    let mut memory = AlignedBytes::zeroed(model.memory_len());
    match Session::new(&model, &mut memory)?.self_test() {
        Ok(()) | Err(SelfTestError::Absent) => {}
        Err(error) => return Err(error).with_context(|| format!("{}: self-test failed", args.model.display())),
    }
    let inspection =
        Inspection { report: ModelReport::new(&model), memory_map: args.map.then(|| MemoryMap::new(&model)) };
    match args.json {
        true => output::print_json(&inspection),
        false => output::print(&inspection.render(&args.model.display().to_string())),
    }
}

impl Inspection {
    fn render(&self, path: &str) -> String {
        let report = &self.report;
        let self_test = if report.self_test { "self-test passed" } else { "no self-test" };
        let mut text = format!("{path}: verified, CRC-32 {}, {self_test}\n\n", report.crc);
        for (key, value) in &report.metadata {
            let _ = writeln!(text, "{key:>14}: {}", value.lines().collect::<Vec<_>>().join(", "));
        }
        let _ = writeln!(text);
        let mut ports = table(&["", "name", "type", "shape", "ONNX axes", ">scale", ">zero point"]);
        let mut add = |kind: &str, port: &PortReport| {
            let axes = if port.perm.is_empty() { "same".to_string() } else { format!("{:?}", port.perm) };
            let (scale, zero_point) = (format!("{:.8}", port.scale), port.zero_point.to_string());
            let row = [kind, &port.name, &port.data_type, &shape(&port.shape), &axes, &scale, &zero_point];
            ports.add_row(row.map(str::to_string));
        };
        report.inputs.iter().for_each(|port| add("input", port));
        report.outputs.iter().for_each(|port| add("output", port));
        let _ = writeln!(text, "{}", lines(&ports));
        let titles =
            [">step", "operator", "output", ">MACs", ">constants", ">output bytes", ">scratch", "in place", "name"];
        let mut steps = table(&titles);
        for step in &report.steps {
            steps.add_row([
                step.index.to_string(),
                step.op.clone(),
                shape(&step.shape),
                grouped(step.macs),
                grouped(step.constant_bytes),
                grouped(step.output_bytes),
                grouped(step.scratch_bytes),
                if step.in_place { "yes" } else { "" }.to_string(),
                step.name.clone().unwrap_or_default(),
            ]);
        }
        let totals = &report.totals;
        let _ = writeln!(text, "{}", lines(&steps));
        let _ = writeln!(text, "{} MACs, {} parameters\n", grouped(totals.macs), grouped(totals.parameters));
        text += &render_totals(report, report.totals.arena_bytes == report.totals.arena_lower_bound);
        if let Some(map) = &self.memory_map {
            let _ = writeln!(text, "\n{}", map.render());
        }
        text
    }
}
