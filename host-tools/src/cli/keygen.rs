//! `teff keygen`

use std::path::PathBuf;

use anyhow::Result;

use super::output::{print, write_atomically};
use crate::update::key;

/// Make the key that signs models for devices in the field
///
/// KEY.pem is the private key: keep it where models are released, and keep a copy: devices trust no other. KEY.pub is for
/// the firmware: build it with TEFF_PUBLIC_KEY=KEY.pub.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The private key; the public one is written beside it, with the extension .pub
    #[arg(value_name = "KEY.pem")]
    path: PathBuf,
}

pub(super) fn main(args: &Args) -> Result<()> {
    let key = key::generate()?;
    key::write_private(&args.path, &key)?;
    let (text, public) = (key::public_text(&key), args.path.with_extension("pub"));
    write_atomically(&public, format!("{text}\n").as_bytes())?;
    print(&format!("private key  {}\npublic key   {}  {text}\n", args.path.display(), public.display()))
}
