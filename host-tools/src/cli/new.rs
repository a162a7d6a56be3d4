//! `teff new`

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::args::board_names;
use super::output::print;
use super::teff_file::{TeffFile, fits, suits};
use crate::board::App;
use crate::project::{self, Template};

/// Write a firmware project for a board with a model in it, to build on
///
/// The project is a Cargo package of its own: manifest, memory map, build script, main.rs, and a runner that writes it to
/// the board, or runs it in QEMU. It uses the crates of this Teff repository by their paths.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  teff new --board rp2040 --model model.teff my-app
  cd my-app && cargo run --release
  teff new --board nrf52840-dk --app vibration --model models/vibration/model.teff watch
  teff new --board mps2-an386 --model model.teff in-qemu")]
pub(super) struct Args {
    /// The folder to make; its name is that of the package
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The board
    #[arg(long, value_name = "NAME", value_parser = board_names(Template::all().map(Template::name)))]
    board: String,
    /// The application
    #[arg(long, value_enum, default_value_t)]
    app: App,
    /// The .teff model
    #[arg(long, value_name = "MODEL.teff")]
    model: PathBuf,
}

pub(super) fn main(args: &Args) -> Result<()> {
    let board = Template::by_name(&args.board).context("no such board")?;
    let file = TeffFile::read(&args.model)?;
    let model = file.model()?;
    suits(&model, &args.model, args.app)?;
    fits(&model, &args.model, board.name(), board.budget()?)?;
    let folder = std::path::absolute(&args.folder)?;
    let name = folder.file_name().and_then(|name| name.to_str()).context("the folder has no name")?;
    project::write(&project::files(board, args.app, name, file.bytes())?, &folder)?;
    print(&format!(
        "{}: a firmware for {}\nnext: cd {} && cargo run --release\n",
        args.folder.display(),
        board.description(),
        args.folder.display()
    ))
}
