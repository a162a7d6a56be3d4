//! `teff flash --model-only`: the model slots past the firmware.

use std::fmt::Write;
use std::fs;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::super::convert::hex;
use super::super::output::{print, write_atomically};
use super::super::sign::sign_for;
use super::{Args, call, command, slots_of};
use crate::board::{self, Flasher, Hardware};
use crate::update::{self, is_signed, key};

pub(super) fn main(args: &Args, board: &Hardware) -> Result<()> {
    let slots = slots_of(board)?;
    let (signed, public) = signed(args)?;
    let bytes = update::image(&signed, &public, slots).with_context(|| args.model.display().to_string())?;
    let folder = board::repository()?.join("target/flash");
    // Named by what is in it: two runs at once do not write each other's. The CRC-32 of a header that ends with its own CRC-32 would be
    // the same for all.
    let digest = hex(&Sha256::digest(&bytes));
    let image = folder.join(format!("{}-{digest:.16}-slots.bin", board.name));
    let ways = board.flashers.iter().filter_map(|&flasher| {
        let calls = flasher.raw(&image.display().to_string(), slots.address)?;
        Some((flasher, calls))
    });
    let ways: Vec<_> = ways.collect();
    if args.dry_run {
        return print(&plan(&ways, slots.address, bytes.len()));
    }
    let Some((flasher, calls)) = ways.iter().find(|(flasher, _)| board::program_runs(flasher.program())) else {
        let install: Vec<_> =
            ways.iter().map(|(flasher, _)| format!("{}: {}", flasher.program(), flasher.install())).collect();
        bail!("nothing is installed that can write to {}; install\n{}", board.description, install.join("\n"))
    };
    fs::create_dir_all(&folder).context("cannot make target/flash")?;
    write_atomically(&image, &bytes)?;
    calls.iter().try_for_each(|arguments| call(*flasher, arguments))
}

/// The signed model, and the public key of who signed it.
fn signed(args: &Args) -> Result<(Vec<u8>, [u8; 32])> {
    let name = args.model.display();
    let file = fs::read(&args.model).with_context(|| format!("cannot read {name}"))?;
    match (is_signed(&file), &args.public_key, &args.key, args.number) {
        (true, Some(public), _, _) => Ok((file, key::read_public(public)?)),
        (true, None, _, _) => {
            bail!("{name} is signed: --public-key KEY.pub names the key with which the board's firmware was built")
        }
        (false, _, Some(private), Some(number)) => {
            let (signed, key) = sign_for(args.app, &args.model, private, number)?;
            Ok((signed, key.verifying_key().to_bytes()))
        }
        (false, ..) => {
            bail!("{name} is not signed, and boards run no other from their slots: --key KEY.pem --version N signs it")
        }
    }
}

fn plan(ways: &[(Flasher, Vec<Vec<String>>)], address: u32, len: usize) -> String {
    let mut text = format!("# {len} bytes of model slots at {address:#010x}; the firmware stays\n");
    for (index, (flasher, calls)) in ways.iter().enumerate() {
        for arguments in calls {
            let or = if index == 0 { "" } else { "or " };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{or}{}", command(*flasher, arguments));
        }
    }
    text
}
