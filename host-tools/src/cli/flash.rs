//! `teff flash`

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};
use clap::builder::PossibleValuesParser;

use super::output::{print, spinner, write_atomically};
use super::teff_file::TeffFile;
use crate::board::{self, Flasher, HARDWARE, Hardware};

/// Build the firmware of a board with a model in it, and write it to the board
///
/// Uses probe-rs, espflash, elf2uf2-rs or picotool, whichever the board needs and this machine has; where none is
/// installed, says how to. Run it from a folder of the Teff repository: firmware is built from its sources.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  teff flash --board rp2040 model.teff
  teff flash --board esp32c3 model.teff --dry-run
  teff flash --board esp32c3 model.teff --compare

To replace the model of a board in the field, without its firmware: teff push --help")]
pub(super) struct Args {
    /// The .teff model
    #[arg(value_name = "MODEL.teff")]
    model: PathBuf,
    /// The board
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(HARDWARE.iter().map(|b| b.name)))]
    board: String,
    /// A firmware that answers `teff compare` over its serial line, in place of the application
    #[arg(long)]
    compare: bool,
    /// Show what would be run; build and write nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn main(args: &Args) -> Result<()> {
    let board = board::hardware_by_name(&args.board).context("no such board")?;
    TeffFile::read(&args.model)?.model()?;
    let root = board::repository()?;
    let firmware = root.join("target/flash").join(format!("{}.elf", board.name));
    if args.dry_run {
        return print(&plan(board, &args.model, args.compare, &firmware));
    }
    let flasher = choose(board, board::program_runs)?;
    let building = spinner(format!("{}: building its firmware", board.name));
    let elf = board::build_hardware(board, &args.model, args.compare);
    building.finish_and_clear();
    let elf = elf?;
    let size = elf.size()?;
    ensure!(
        size.flash <= board.flash && size.ram <= board.ram,
        "the firmware needs {} bytes of flash and {} of RAM, {} has {} and {}",
        size.flash,
        size.ram,
        board.description,
        board.flash,
        board.ram
    );
    fs::create_dir_all(root.join("target/flash")).context("cannot make target/flash")?;
    write_atomically(&firmware, elf.bytes())?;
    let arguments = flasher.arguments(&firmware.display().to_string());
    print(&format!("{}\n", command(flasher, &arguments)))?;
    let status = Command::new(flasher.program()).args(&arguments).status();
    let status = status.with_context(|| format!("cannot start {}", flasher.program()))?;
    ensure!(status.success(), "{} failed: {status}; is the board plugged in?", flasher.program());
    Ok(())
}

/// The first flasher of the board that `is_there`.
fn choose(board: &Hardware, is_there: impl Fn(&str) -> bool) -> Result<Flasher> {
    if let Some(&flasher) = board.flashers.iter().find(|flasher| is_there(flasher.program())) {
        return Ok(flasher);
    }
    let ways: Vec<_> = board.flashers.iter().map(|f| format!("{}: {}", f.program(), f.install())).collect();
    bail!("nothing is installed that can flash {}; install one of\n{}", board.description, ways.join("\n"))
}

/// What `main` would run.
fn plan(board: &Hardware, model: &Path, compare: bool, firmware: &Path) -> String {
    let model = env::current_dir().map_or_else(|_| model.into(), |folder| folder.join(model));
    let (folder, target, binary) = (board.folder, board.target, board.binary);
    let build = format!("cargo build --release --bin {binary} --target {target}");
    let features = if compare { format!(" {}", board::COMPARING.join(" ")) } else { String::new() };
    let mut text = format!("cd {folder}; TEFF_MODEL={} {build}{features}\n", model.display());
    for (index, flasher) in board.flashers.iter().enumerate() {
        let arguments = flasher.arguments(&firmware.display().to_string());
        let or = if index == 0 { "" } else { "or " };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{or}{}", command(*flasher, &arguments));
    }
    text
}

fn command(flasher: Flasher, arguments: &[String]) -> String {
    format!("{} {}", flasher.program(), arguments.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_program_that_is_there_flashes_the_board() {
        for board in HARDWARE {
            let (first, last) = (board.flashers[0], board.flashers[board.flashers.len() - 1]);
            assert_eq!(choose(board, |_| true).unwrap(), first);
            assert_eq!(choose(board, |program| program == last.program()).unwrap(), last);
            let error = choose(board, |_| false).unwrap_err().to_string();
            assert!(board.flashers.iter().all(|flasher| error.contains(flasher.install())), "{error}");
        }
    }

    #[test]
    fn a_plan_names_what_is_built_and_how_it_is_written() {
        let board = board::hardware_by_name("rp2040").unwrap();
        let text = plan(board, Path::new("/m.teff"), false, Path::new("/f.elf"));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[0],
            "cd firmware/rp2040; TEFF_MODEL=/m.teff cargo build --release --bin teff-rp2040 --target thumbv6m-none-eabi"
        );
        let comparing = plan(board, Path::new("/m.teff"), true, Path::new("/f.elf"));
        assert_eq!(comparing.lines().next(), Some(format!("{} --features compare", lines[0]).as_str()));
        assert_eq!(lines[1..3], ["probe-rs run --chip RP2040 /f.elf", "or elf2uf2-rs --deploy /f.elf"]);
    }
}
