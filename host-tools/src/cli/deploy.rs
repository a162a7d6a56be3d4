//! `teff deploy`

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::output::print;
use super::teff_file::TeffFile;
use crate::board;
use crate::deploy::{self, Deployment, Step};

/// Build the program for a Raspberry Pi, install it there over ssh, and start it
///
/// Shows the commands that it would run; with --execute it runs them. Needs a 64-bit system on the Raspberry Pi, on which
/// your key may log in and sudo asks for no password. Run it from a folder of the Teff repository.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  teff deploy --host pi@raspberrypi.local
  teff deploy --host pi@raspberrypi.local --model model.teff --run --execute
  teff deploy --host pi@raspberrypi.local --model model.teff --model-only --run --execute

What runs there on which line or camera is in /etc/teff/teff-pi.toml.")]
pub(super) struct Args {
    /// The Raspberry Pi, as ssh knows it
    #[arg(long, value_name = "[USER@]HOST")]
    host: String,
    /// A .teff model to run in place of the one in the package
    #[arg(long, value_name = "MODEL.teff")]
    model: Option<PathBuf>,
    /// Replace the model only: the program is there already
    #[arg(long, requires = "model")]
    model_only: bool,
    /// Start the service, now and whenever the Raspberry Pi starts
    #[arg(long)]
    run: bool,
    /// Do it
    #[arg(long, visible_alias = "yes")]
    execute: bool,
}

pub(super) fn main(args: &Args) -> Result<()> {
    let root = board::repository()?;
    if let Some(model) = &args.model {
        TeffFile::read(model)?.model()?;
    }
    let deployment =
        Deployment { host: args.host.clone(), model: args.model.clone(), model_only: args.model_only, run: args.run };
    let steps = deployment.steps(&root)?;
    let missing = deploy::missing(&steps);
    if !args.execute {
        return print(&plan(&steps, &missing));
    }
    if !missing.is_empty() {
        bail!("nothing was done:\n{}", missing.join("\n"));
    }
    let folder = deploy::package_path(&root).parent().map(std::fs::create_dir_all);
    folder.transpose().context("cannot make the folder for the package")?;
    for step in &steps {
        print(&format!("# {}\n{step}\n", step.what))?;
        step.run()?;
    }
    Ok(())
}

fn plan(steps: &[Step], missing: &[String]) -> String {
    let mut text = String::new();
    for step in steps {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# {}\n{step}", step.what);
    }
    for what in missing {
        let _ = writeln!(text, "missing: {what}");
    }
    text + "nothing was done: --execute runs these commands\n"
}
