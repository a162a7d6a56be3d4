//! `teff push`

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::output as out;
use super::sign::sign_for;
use crate::board::App;
use crate::line::{self, Patience};
use crate::update::{self, is_signed, split};

/// Send a model to a device, which verifies it and starts it
///
/// The model goes to the slot that is not in use. An interrupted update goes on where it was when the same file is pushed
/// again; until the device has verified all of it, the old model runs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  teff push --port /dev/ttyACM0 model.teffs
  teff push --port tcp:localhost:4000 model.teffs
  teff push --port /dev/ttyACM0 model.teff --key key.pem --version 4")]
pub(super) struct Args {
    /// The signed model, as `teff sign` makes them; with --key a .teff, which is signed on the way
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// The serial port, or tcp:HOST:PORT
    #[arg(long, value_name = "PORT")]
    port: String,
    /// The private key, to sign the model with
    #[arg(long, value_name = "KEY.pem", requires = "number")]
    key: Option<PathBuf>,
    /// With --key: the version of the model, higher than that of all before
    #[arg(long = "version", value_name = "N", requires = "key", value_parser = clap::value_parser!(u32).range(1..))]
    number: Option<u32>,
    /// With --key: the application that the device runs
    #[arg(long, value_enum, default_value_t, requires = "key")]
    app: App,
    /// Bits per second of a serial port
    #[arg(long, value_name = "BAUD", default_value_t = 115_200)]
    baud: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn main(args: &Args) -> Result<()> {
    let name = args.model.display();
    let signed = signed(args)?;
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

/// The signed model: as the file has it, or signed here.
fn signed(args: &Args) -> Result<Vec<u8>> {
    let name = args.model.display();
    let file = fs::read(&args.model).with_context(|| format!("cannot read {name}"))?;
    match (is_signed(&file), &args.key, args.number) {
        (true, None, _) => Ok(file),
        (true, Some(_), _) => {
            bail!("{name} is signed already: push it without --key and --version, or the .teff with them")
        }
        (false, Some(private), Some(number)) => Ok(sign_for(args.app, &args.model, private, number)?.0),
        (false, ..) => bail!("{name} is not signed, and devices take no other: --key KEY.pem --version N signs it"),
    }
}
