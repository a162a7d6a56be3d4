//! `teff compare`

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

use super::args::PreprocessArgs;
use super::output as out;
use super::teff_file::{TeffFile, open_runs};
use crate::board::{self, BOARDS, Board};
use crate::calibrate::Samples;
use crate::compare::{Comparison, Emulated, Serial, compare};
use crate::interpreter::quantize_inputs;
use crate::line;

/// Run a model on a device and here, step by step, and name the first step that gives other bits
///
/// An emulated board is built with the model in it. A board on a serial line must run a firmware of this model that was
/// built with the feature `compare`, as `teff flash --compare` makes it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  teff compare --device qemu:mps2-an386 model.teff digit.npy
  teff flash --board rp2040 --compare model.teff
  teff compare --device serial:/dev/ttyACM0 model.teff digit.npy

Exit code 0 says that all bits were the same, 1 that they were not or that no comparison was possible.")]
pub(super) struct Args {
    /// The device: qemu:BOARD (or emulator:BOARD, where it is not QEMU), serial:PORT, or tcp:HOST:PORT for a serial line over a network
    #[arg(long, value_name = "DEVICE")]
    device: String,
    /// The .teff model
    #[arg(value_name = "MODEL.teff")]
    model: PathBuf,
    /// What to run it on: .npy, .npz, .png, .jpg, or a folder of them
    input: PathBuf,
    /// Which sample of the input, counted from 0
    #[arg(long, value_name = "N", default_value_t = 0)]
    sample: usize,
    /// Bits per second of a serial port
    #[arg(long, value_name = "BAUD", default_value_t = 115_200)]
    baud: u32,
    #[command(flatten)]
    preprocess: PreprocessArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    device: &'a str,
    model: String,
    bit_identical: bool,
    #[serde(flatten)]
    comparison: &'a Comparison,
}

/// What the user names as the device.
enum Wanted<'a> {
    Emulated(&'static Board),
    Line(&'a str),
}

impl<'a> Wanted<'a> {
    fn parse(device: &'a str) -> Result<Self> {
        match device.split_once(':') {
            Some(("qemu" | "emulator", name)) => {
                let names = || BOARDS.iter().map(|board| board.name).collect::<Vec<_>>().join(", ");
                let board = board::by_name(name);
                Ok(Self::Emulated(board.with_context(|| format!("no emulated board {name}: one of {}", names()))?))
            }
            Some(("serial", port)) => Ok(Self::Line(port)),
            Some(("tcp", _)) => Ok(Self::Line(device)),
            _ => bail!("no device {device}: wanted qemu:BOARD, serial:PORT or tcp:HOST:PORT"),
        }
    }
}

pub(super) fn main(args: &Args) -> Result<()> {
    let device = Wanted::parse(&args.device)?;
    let file = TeffFile::read(&args.model)?;
    let model = file.model()?;
    let data = open_runs(&model, &args.input, &args.preprocess)?;
    ensure!(args.sample < data.len(), "{}: holds {} samples", args.input.display(), data.len());
    let inputs = data.inputs(args.sample).with_context(|| format!("sample {}", args.sample))?;
    let inputs = quantize_inputs(&model, &inputs)?;
    let comparison = match device {
        Wanted::Emulated(board) => {
            let name = board.name;
            board::availability(board).map_err(|why| anyhow::anyhow!("{name}: {why}"))?;
            let spinner = out::spinner(format!("{name}: building its firmware, and running it"));
            let done = Emulated::build(board, &args.model).and_then(|mut device| compare(&model, &inputs, &mut device));
            spinner.finish_and_clear();
            done
        }
        Wanted::Line(port) => {
            let mut line = line::open(port, args.baud)?;
            let bar = out::progress("comparing", 0);
            let done = compare(&model, &inputs, &mut Serial::new(&mut *line, bar.clone()));
            bar.finish_and_clear();
            done
        }
    };
    let comparison = comparison.with_context(|| format!("{} was not compared", args.device))?;
    let identical = comparison.difference.is_none();
    if args.json {
        let model = format!("{:#010x}", model.crc());
        out::print_json(&Report { device: &args.device, model, bit_identical: identical, comparison: &comparison })?;
    } else if identical {
        out::print(&format!("bit-identical: {} steps on {}\n", comparison.steps, args.device))?;
    }
    match comparison.difference {
        Some(difference) => bail!("{}: {difference}", args.device),
        None => Ok(()),
    }
}
