//! The runtime on 64-bit Arm Linux, as on a Raspberry Pi, under QEMU's user mode.
//!
//! The programs are the runtime's examples `frames` and `text`, and its unit tests, linked statically.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::availability::{self, INSTALL_QEMU};
use super::build::{build_artifact, cargo};
use super::{process, repository};

/// What Cargo builds for.
pub const TARGET: &str = "aarch64-unknown-linux-gnu";
/// The processors that are emulated: those of the Raspberry Pi 3, 4 and 5.
pub const CPUS: [&str; 3] = ["cortex-a53", "cortex-a72", "cortex-a76"];

const EMULATOR: &str = "qemu-aarch64";
const LINKER: &str = "aarch64-linux-gnu-gcc";
const LIMIT: Duration = Duration::from_secs(600);

/// What the program answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinuxRun {
    /// The outputs for all frames, one after another.
    pub outputs: Vec<i8>,
    /// What it printed.
    pub report: String,
}

/// Whether the program can be built and emulated here.
///
/// # Errors
/// What is missing, and the command that brings it.
pub fn availability() -> Result<(), String> {
    let root = repository().map_err(|error| error.to_string())?;
    availability::emulator(EMULATOR, INSTALL_QEMU)?;
    if !availability::program_runs(LINKER) {
        return Err(format!("{LINKER} is not installed: run `{INSTALL_QEMU}`"));
    }
    availability::target(TARGET, &root)
}

/// Builds one of the runtime's examples.
///
/// # Errors
/// If Cargo or the linker fails; the message holds what they said.
pub fn build(example: &str) -> Result<PathBuf> {
    build_for_linux(&["build", "--example", example], example)
        .with_context(|| format!("cannot build the example `{example}` for 64-bit Arm Linux"))
}

/// Builds the runtime's unit tests, among them the suites of its kernels.
///
/// # Errors
/// As [`build`].
pub fn build_tests() -> Result<PathBuf> {
    build_for_linux(&["test", "--lib", "--no-run"], "teff")
        .context("cannot build the runtime's tests for 64-bit Arm Linux")
}

/// What Cargo makes of the runtime, in the target of this name.
fn build_for_linux(command: &[&str], name: &str) -> Result<PathBuf> {
    let mut cargo = cargo();
    cargo
        .current_dir(repository()?)
        .args(command)
        .args(["--release", "--package", "teff", "--features", "std", "--target", TARGET])
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", LINKER)
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-C target-feature=+crt-static");
    build_artifact(&mut cargo, name)
}

/// Runs `program` on an emulated `cpu`; gives what it printed.
///
/// # Errors
/// If the emulator cannot run, or the program does not end well.
pub fn run_program(cpu: &str, program: &Path, arguments: &[impl AsRef<OsStr>]) -> Result<String> {
    let mut emulator = Command::new(EMULATOR);
    emulator.args(["-cpu", cpu]).arg(program).args(arguments);
    let done = process::run(&mut emulator, LIMIT)?;
    let printed = String::from_utf8_lossy(&done.stdout).trim_end().to_string();
    if !done.status.success() {
        bail!("the program on {cpu} ended with {}\n{printed}\n{}", done.status, done.messages());
    }
    Ok(printed)
}

/// Runs `program` with `model` on what it reads, such as frames one after another, on an emulated `cpu`.
///
/// # Errors
/// If the emulator cannot run, or the program does not end well.
pub fn run(cpu: &str, program: &Path, model: &Path, frames: &[i8]) -> Result<LinuxRun> {
    let folder = tempfile::tempdir().context("cannot make a folder for the run")?;
    let [input, output] = ["frames.bin", "outputs.bin"].map(|name| folder.path().join(name));
    let bytes: Vec<u8> = frames.iter().map(|&value| value.cast_unsigned()).collect();
    fs::write(&input, bytes).with_context(|| format!("cannot write {}", input.display()))?;
    let report = run_program(cpu, program, &[model, &input, &output])?;
    let outputs = fs::read(&output).with_context(|| format!("the program on {cpu} wrote no outputs"))?;
    let outputs = outputs.into_iter().map(u8::cast_signed).collect();
    Ok(LinuxRun { outputs, report })
}
