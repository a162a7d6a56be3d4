//! The command line: a file for each subcommand.
//!
//! Every subcommand computes first and prints last, to standard output, as tables or with `--json` as JSON and nothing
//! else; progress and errors go to standard error. Exit codes: 0 done, 1 failed, 2 wrong usage.

mod args;
mod bench;
mod compare;
mod convert;
mod demo;
mod deploy;
mod eval;
mod features;
mod flash;
mod generate;
mod inspect;
mod keygen;
mod language;
mod mixed;
mod new;
mod output;
mod push;
mod run;
mod sign;
mod teff_file;

use std::process::ExitCode;

use anstyle::AnsiColor;
use clap::{Parser, Subcommand};

/// Converts ONNX models to .teff, and runs, evaluates and inspects them.
///
/// A .teff file gives the same bits here and on every board: what `run` and `eval` say is what the board will say.
#[derive(Debug, Parser)]
#[command(name = "teff", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Convert(Box<convert::Args>),
    Run(run::Args),
    Eval(eval::Args),
    Inspect(inspect::Args),
    Features(features::Args),
    Generate(generate::Args),
    Chat(generate::ChatArgs),
    Demo(demo::Args),
    Bench(bench::Args),
    New(new::Args),
    Compare(compare::Args),
    Flash(flash::Args),
    Deploy(deploy::Args),
    Keygen(keygen::Args),
    Sign(sign::Args),
    Push(push::Args),
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Convert(args) => convert::main(&args),
        Command::Run(args) => run::main(&args),
        Command::Eval(args) => eval::main(&args),
        Command::Inspect(args) => inspect::main(&args),
        Command::Features(args) => features::main(&args),
        Command::Generate(args) => generate::main(&args),
        Command::Chat(args) => generate::chat(&args),
        Command::Demo(args) => demo::main(&args),
        Command::Bench(args) => bench::main(&args),
        Command::New(args) => new::main(&args),
        Command::Compare(args) => compare::main(&args),
        Command::Flash(args) => flash::main(&args),
        Command::Deploy(args) => deploy::main(&args),
        Command::Keygen(args) => keygen::main(&args),
        Command::Sign(args) => sign::main(&args),
        Command::Push(args) => push::main(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// The error and, below it, its causes.
fn report(error: &anyhow::Error) {
    let red = AnsiColor::Red.on_default().bold();
    anstream::eprintln!("{red}error{red:#}: {error}");
    for cause in error.chain().skip(1) {
        anstream::eprintln!("  because: {}", cause.to_string().replace('\n', "\n           "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
