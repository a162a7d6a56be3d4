//! `teff flash`

mod model_only;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};

use super::args::board_names;
use super::output::{print, spinner, write_atomically};
use super::teff_file::{TeffFile, fits, suits};
use crate::board::{self, App, Flasher, HARDWARE, Hardware, Kind};
use crate::deploy::quoted;
use crate::update::{Slots, key};

/// Build the firmware of a board with a model in it, and write it to the board
///
/// Uses probe-rs, espflash, elf2uf2-rs or picotool, whichever the board needs and this machine has; where none is
/// installed, says how to. Run it from a folder of the Teff repository: firmware is built from its sources.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  teff flash --board rp2040 model.teff
  teff flash --board rp2040 --app vibration models/vibration/model.teff
  teff flash --board esp32c3 model.teff --dry-run
  teff flash --board esp32c3 model.teff --compare
  teff flash --board nrf52840-dk model.teff --public-key key.pub
  teff flash --board nrf52840-dk better.teff --model-only --key key.pem --version 2

To replace the model of a board that no probe reaches: teff push --help")]
pub(super) struct Args {
    /// The .teff model; with --model-only also a signed one, as `teff sign` makes them
    #[arg(value_name = "MODEL.teff")]
    model: PathBuf,
    /// The board
    #[arg(long, value_name = "NAME", value_parser = board_names(HARDWARE.iter().map(|b| b.name)))]
    board: String,
    /// The application; with --model-only, that of the board's firmware
    #[arg(long, value_enum, default_value_t, conflicts_with = "compare")]
    app: App,
    /// A firmware that answers `teff compare` over its serial line, in place of the application
    #[arg(long)]
    compare: bool,
    /// A firmware with model slots, that runs what this key signed: KEY.pub, as `teff keygen` makes them
    #[arg(long, value_name = "KEY.pub", conflicts_with = "compare")]
    public_key: Option<PathBuf>,
    /// Write the model slots only, and leave the firmware as it is: it must have been built with --public-key
    #[arg(long, conflicts_with = "compare")]
    model_only: bool,
    /// With --model-only: the private key, to sign the model with
    #[arg(long, value_name = "KEY.pem", requires_all = ["model_only", "number"], conflicts_with = "public_key")]
    key: Option<PathBuf>,
    /// With --key: the version of the model
    #[arg(long = "version", value_name = "N", requires = "key", value_parser = clap::value_parser!(u32).range(1..))]
    number: Option<u32>,
    /// Show what would be run; build and write nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn main(args: &Args) -> Result<()> {
    let board = board::hardware_by_name(&args.board).context("no such board")?;
    if args.model_only {
        return model_only::main(args, board);
    }
    let kind = match &args.public_key {
        Some(path) => {
            slots_of(board)?;
            args.app.takes_updates()?;
            key::read_public(path)?;
            Kind::Slots(path)
        }
        None if args.compare => Kind::Comparing,
        None => Kind::Application,
    };
    let file = TeffFile::read(&args.model)?;
    let model = file.model()?;
    // Any model can be compared.
    if kind != Kind::Comparing {
        suits(&model, &args.model, args.app)?;
    }
    fits(&model, &args.model, board.name, board.budget()?)?;
    let program = board.program(args.app)?;
    let root = board::repository()?;
    let firmware = root.join("target/flash").join(format!("{}.elf", board.name));
    if args.dry_run {
        return print(&plan(&root, board, &program, &args.model, kind, &firmware));
    }
    let flasher = choose(board, board::program_runs)?;
    let building = spinner(format!("{}: building its firmware", board.name));
    let elf = board::build_hardware(board, args.app, &args.model, kind);
    building.finish_and_clear();
    let elf = elf?;
    let size = elf.size()?;
    let slots = board.slots.filter(|_| matches!(kind, Kind::Slots(_))).map_or(0, |slots| u64::from(slots.len));
    let flash = board.flash - slots;
    ensure!(
        size.flash <= flash && size.ram <= board.ram,
        "the firmware needs {} bytes of flash and {} of RAM, {} has {flash} and {} for it",
        size.flash,
        size.ram,
        board.description,
        board.ram
    );
    fs::create_dir_all(root.join("target/flash")).context("cannot make target/flash")?;
    write_atomically(&firmware, elf.bytes())?;
    call(flasher, &flasher.arguments(&firmware.display().to_string()))
}

/// Runs the program and shows how.
fn call(flasher: Flasher, arguments: &[String]) -> Result<()> {
    print(&format!("{}\n", command(flasher, arguments)))?;
    let status = Command::new(flasher.program()).args(arguments).status();
    let status = status.with_context(|| format!("cannot start {}", flasher.program()))?;
    ensure!(status.success(), "{} failed: {status}; is the board plugged in?", flasher.program());
    Ok(())
}

/// Where the board's firmware keeps models.
fn slots_of(board: &Hardware) -> Result<Slots> {
    board.slots.with_context(|| {
        let with: Vec<_> = HARDWARE.iter().filter(|board| board.slots.is_some()).map(|board| board.name).collect();
        format!(
            "the firmware for {name} has no model slots: only those for {} have; to replace its model write its firmware \
             with the new one in it: teff flash --board {name} MODEL.teff (docs/boards.md says why)",
            with.join(", "),
            name = board.name
        )
    })
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
fn plan(root: &Path, board: &Hardware, program: &str, model: &Path, kind: Kind<'_>, firmware: &Path) -> String {
    let (folder, model) = (absolute(&root.join(board.folder)), absolute(model));
    let build = format!("cargo build --release --bin {program} --target {}", board.target);
    let features: String = kind.features().iter().map(|word| format!(" {word}")).collect();
    let key = match kind {
        Kind::Slots(key) => format!("TEFF_PUBLIC_KEY={} ", absolute(key)),
        _ => String::new(),
    };
    let mut text = format!("cd {folder}; TEFF_MODEL={model} {key}{build}{features}\n");
    for (index, flasher) in board.flashers.iter().enumerate() {
        let arguments = flasher.arguments(&firmware.display().to_string());
        let or = if index == 0 { "" } else { "or " };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{or}{}", command(*flasher, &arguments));
    }
    text
}

/// The path from anywhere, as a shell wants it.
fn absolute(path: &Path) -> String {
    let path = env::current_dir().map_or_else(|_| path.into(), |folder| folder.join(path));
    quoted(&path.display().to_string())
}

fn command(flasher: Flasher, arguments: &[String]) -> String {
    let arguments: String = arguments.iter().map(|argument| format!(" {}", quoted(argument))).collect();
    format!("{}{arguments}", flasher.program())
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
        let plan = |model: &str, kind, firmware: &str| {
            plan(Path::new("/r"), board, board.binary, Path::new(model), kind, Path::new(firmware))
        };
        let text = plan("/m.teff", Kind::Application, "/f.elf");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[0],
            "cd /r/firmware/rp2040; TEFF_MODEL=/m.teff cargo build --release --bin teff-rp2040 --target thumbv6m-none-eabi"
        );
        let comparing = plan("/m.teff", Kind::Comparing, "/f.elf");
        assert_eq!(comparing.lines().next(), Some(format!("{} --features compare", lines[0]).as_str()));
        let slots = plan("/m.teff", Kind::Slots(Path::new("/k.pub")), "/f.elf");
        let first = slots.lines().next().unwrap();
        assert!(first.contains(" TEFF_PUBLIC_KEY=/k.pub cargo") && first.ends_with(" --features slots"), "{first}");
        assert_eq!(lines[1..3], ["probe-rs run --chip RP2040 /f.elf", "or elf2uf2-rs --deploy /f.elf"]);
        let spaced = plan("/my models/it's.teff", Kind::Application, "/a b/f.elf");
        assert!(spaced.contains(r" TEFF_MODEL='/my models/it'\''s.teff' cargo"), "{spaced}");
        assert!(spaced.contains("\nprobe-rs run --chip RP2040 '/a b/f.elf'\n"), "{spaced}");
        let relative = plan("m.teff", Kind::Application, "/f.elf");
        assert!(relative.contains(" TEFF_MODEL=/") && relative.contains("/m.teff cargo"), "{relative}");
    }
}
