//! `teff push`

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::output as out;
use crate::line::{self, Patience};
use crate::update::{self, is_signed, split};

/// Send a signed model to a device, which verifies it and starts it
///
/// The model goes to the slot that is not in use. An interrupted update goes on where it was when the same file is pushed
/// again; until the device has verified all of it, the old model runs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  teff push --port /dev/ttyACM0 model.teffs
  teff push --port tcp:localhost:4000 model.teffs")]
pub(super) struct Args {
    /// The signed model, as `teff sign` makes them
    #[arg(value_name = "MODEL.teffs")]
    model: PathBuf,
    /// The serial port, or tcp:HOST:PORT
    #[arg(long, value_name = "PORT")]
    port: String,
    /// Bits per second of a serial port
    #[arg(long, value_name = "BAUD", default_value_t = 115_200)]
    baud: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn main(args: &Args) -> Result<()> {
    let name = args.model.display();
    let signed = fs::read(&args.model).with_context(|| format!("cannot read {name}"))?;
    ensure!(is_signed(&signed), "{name} is not signed: `teff sign {name} --key KEY.pem --version N` first");
    let (header, _) = split(&signed).with_context(|| name.to_string())?;
    let mut line = line::open(&args.port, args.baud)?;
    let bar = out::progress("sending", header.len as usize);
    let pushed = update::push(&mut *line, &signed, Patience::default(), |bytes| bar.set_position(bytes.into()));
    bar.finish_and_clear();
    let pushed = pushed.with_context(|| format!("{name} was not installed on {}", args.port))?;
    if args.json {
        return out::print_json(&pushed);
    }
    let before = pushed.before.map_or("the firmware's own model".to_string(), |version| format!("version {version}"));
    let resumed = match pushed.resumed {
        0 => String::new(),
        bytes => format!(", {bytes} of them from an interrupted update"),
    };
    let (version, bytes) = (pushed.version, pushed.bytes);
    out::print(&format!("version {version} replaces {before}: {bytes} bytes{resumed}\n"))
}
