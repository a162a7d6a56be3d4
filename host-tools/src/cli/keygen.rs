//! `teff keygen`

use std::path::PathBuf;

use anyhow::{Result, ensure};

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
    let (path, public) = (&args.path, args.path.with_extension("pub"));
    ensure!(
        path.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("pub")),
        "{} is named as a public key is: name the private one, such as {}; the public one is written beside it",
        path.display(),
        path.with_extension("pem").display()
    );
    for taken in [path, &public] {
        ensure!(
            !taken.exists(),
            "{} exists already, and devices may trust that key: choose another name, or move it away",
            taken.display()
        );
    }
    let key = key::generate()?;
    key::write_private(path, &key)?;
    let text = key::public_text(&key);
    write_atomically(&public, format!("{text}\n").as_bytes())?;
    print(&format!("private key  {}\npublic key   {}  {text}\n", path.display(), public.display()))
}
