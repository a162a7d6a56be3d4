//! Teff on the Raspberry Pi: the applications of `firmware/app` as a program for Linux.
//!
//! | module | what it is |
//! |---|---|
//! | [`settings`] | what is run on what: the configuration file, and the command line above it |
//! | [`model`] | a model from a file, and memory for it |
//! | [`stream`] | where frames come from and results go |
//! | [`camera`] | a camera as a stream of frames |
//! | [`picture`] | from the pixels of a camera to the input of a model |
//! | [`text`] | results for people |
//! | [`pin`] | the pin that is high while the model runs |

/// A line on standard error, which may be closed: that is no reason to stop.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

mod camera;
mod model;
mod picture;
mod pin;
mod settings;
mod stream;
mod text;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use clap::{Parser, Subcommand};
use embedded_io_adapters::std::FromStd;
use teff_app::{compare, digits};

use crate::model::Loaded;
use crate::settings::{Application, Format, Overrides, Settings};
use crate::stream::{Reader, Writer};

/// Runs .teff models on what sensors, camera or serial line give, with the bits that the PC computed.
#[derive(Debug, Parser)]
#[command(name = "teff-pi", version, arg_required_else_help = true)]
struct Cli {
    /// The configuration file; options of the subcommands stand above it
    #[arg(long, value_name = "FILE.toml", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the application that the configuration names
    Run(Overrides),
    /// Run the model on each frame of a stream, and write its outputs
    Digits(Overrides),
    /// Answer `teff compare`, which runs the model step by step here and on a PC
    Compare(Overrides),
    /// Verify a model and run its self-test
    Check {
        /// The .teff model
        #[arg(value_name = "MODEL.teff")]
        model: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    let (overrides, application) = match cli.command {
        Command::Check { model } => {
            let loaded = model::load(&model)?;
            println!("{}: {}", model.display(), loaded.summary);
            return Ok(());
        }
        Command::Run(overrides) => (overrides, None),
        Command::Digits(overrides) => (overrides, Some(Application::Digits)),
        Command::Compare(overrides) => (overrides, Some(Application::Compare)),
    };
    let settings = match &cli.config {
        Some(path) => Settings::read(path)?,
        None => Settings::default(),
    };
    let settings = settings.with(overrides);
    let loaded = model::first_that_works(&settings.models)?;
    say!("{}: {}", loaded.path.display(), loaded.summary);
    let (reader, writer) = stream::open(&settings, loaded.model())?;
    match application.unwrap_or(settings.application) {
        Application::Digits => digits(&settings, loaded, reader, writer),
        Application::Compare => {
            let answers = compare::run(loaded.embedded, loaded.memory, FromStd::new(reader), FromStd::new(writer));
            say!("{} answers", answers.map_err(|error| anyhow!("{error}"))?);
            Ok(())
        }
    }
}

fn digits(settings: &Settings, loaded: Loaded, reader: Reader, writer: Writer) -> Result<()> {
    let writer = match settings.format {
        Format::Bytes => writer,
        Format::Text => Box::new(text::Text::new(loaded.model(), writer).context("the model's output as text")?),
    };
    let busy = pin::Busy::open(settings.busy.as_deref())?;
    let board = digits::Board { frames: FromStd::new(reader), results: FromStd::new(writer), busy };
    let summary = digits::run(loaded.embedded, loaded.memory, board).map_err(|error| anyhow!("{error}"))?;
    say!("{} frames, output CRC-32 {:08x}", summary.frames, summary.crc);
    Ok(())
}
