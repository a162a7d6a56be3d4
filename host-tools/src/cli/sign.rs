//! `teff sign`

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ed25519_dalek::SigningKey;

use super::output::{print, write_atomically};
use super::teff_file::{TeffFile, suits};
use crate::board::App;
use crate::update::{self, key};

/// Sign a .teff model for devices in the field
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  teff sign model.teff --key key.pem --version 4

Devices accept only versions above the highest that has run there.")]
pub(super) struct Args {
    /// The .teff model
    #[arg(value_name = "MODEL.teff")]
    model: PathBuf,
    /// The private key, as `teff keygen` or OpenSSL makes them
    #[arg(long, value_name = "KEY.pem")]
    key: PathBuf,
    /// The version of the model: higher than that of all before
    #[arg(long = "version", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    number: u32,
    /// Where to write it [default: MODEL.teffs]
    #[arg(long, short, value_name = "FILE.teffs")]
    output: Option<PathBuf>,
}

pub(super) fn main(args: &Args) -> Result<()> {
    let file = TeffFile::read(&args.model)?;
    file.model()?;
    let key = key::read_private(&args.key)?;
    let signed = update::sign(file.bytes(), args.number, &key).with_context(|| args.model.display().to_string())?;
    let output = args.output.clone().unwrap_or_else(|| args.model.with_extension("teffs"));
    write_atomically(&output, &signed)?;
    print(&format!("{}: version {}, {} bytes\n", output.display(), args.number, signed.len()))
}

/// The model at `path`, signed on the way to devices that run `app`, and the key at `private` that signed it.
pub(super) fn sign_for(app: App, path: &Path, private: &Path, number: u32) -> Result<(Vec<u8>, SigningKey)> {
    app.takes_updates()?;
    let file = TeffFile::read(path)?;
    suits(&file.model()?, path, app)?;
    let key = key::read_private(private)?;
    Ok((update::sign(file.bytes(), number, &key).with_context(|| path.display().to_string())?, key))
}
