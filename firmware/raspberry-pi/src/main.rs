//! Teff on the Raspberry Pi: the applications of `firmware/app` as a program for Linux.
//!
//! | module | what it is |
//! |---|---|
//! | [`applications`] | what runs |
//! | [`settings`] | what is run on what: the configuration file, and the command line above it |
//! | [`model`] | a model from a file, and memory for it |
//! | [`stream`] | where frames come from and results go |
//! | [`camera`] | a camera as a stream of frames |
//! | [`picture`] | from the pixels of a camera to the input of a model |
//! | [`sensor`] | accelerometers on I2C and SPI |
//! | [`text`] | results for people |
//! | [`pin`] | the pin that is high while the model runs |

/// A line on standard error, which may be closed: that is no reason to stop.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

mod applications;
mod camera;
mod model;
mod picture;
mod pin;
mod sensor;
mod settings;
mod stream;
mod text;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::settings::{Application, Overrides, Settings};

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
    /// Listen for the words that a model knows: samples at 16 kHz, i16 little-endian
    Keyword(Overrides),
    /// Watch a machine: --frames lis3dh:/dev/i2c-1, adxl345:/dev/i2c-1, the same two with /dev/spidev0.0, or a recording of x, y, z
    /// as i16 little-endian
    Vibration(Overrides),
    /// Tell a story for each line
    Storyteller(Overrides),
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
        Command::Keyword(overrides) => (overrides, Some(Application::Keyword)),
        Command::Vibration(overrides) => (overrides, Some(Application::Vibration)),
        Command::Storyteller(overrides) => (overrides, Some(Application::Storyteller)),
        Command::Compare(overrides) => (overrides, Some(Application::Compare)),
    };
    let settings = match &cli.config {
        Some(path) => Settings::read(path)?,
        None => Settings::default(),
    };
    let settings = settings.with(overrides);
    let loaded = model::first_that_works(&settings.models)?;
    say!("{}: {}", loaded.path.display(), loaded.summary);
    let run = || applications::run(application.unwrap_or(settings.application), &settings, loaded);
    match settings.threads {
        0 | 1 => run(),
        threads => rayon::ThreadPoolBuilder::new().num_threads(threads).build()?.install(|| teff::over_threads(run)),
    }
}
