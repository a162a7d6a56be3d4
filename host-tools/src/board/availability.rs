//! What this machine lacks to build for a board and to emulate it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{Board, process, repository};

/// Brings the emulators.
pub(super) const INSTALL_QEMU: &str = "bash tests/setup/qemu.sh";
/// Brings the standard library for a target, which follows.
const INSTALL_TARGET: &str = "bash tests/setup/targets.sh";

const LIMIT: Duration = Duration::from_secs(60);

/// Whether `board` can be built for and emulated here.
///
/// # Errors
/// What is missing, and the command that brings it.
pub fn availability(board: &Board) -> Result<(), String> {
    let root = repository().map_err(|error| error.to_string())?;
    board.emulator.availability()?;
    target(board.target, &root.join(board.folder))
}

/// Whether Cargo can build for `target` in the repository.
///
/// # Errors
/// What is missing, and the command that brings it.
pub fn target_availability(triple: &str) -> Result<(), String> {
    target(triple, &repository().map_err(|error| error.to_string())?)
}

/// Whether the emulator `program` is there, which `install` brings.
pub(super) fn emulator(program: &str, install: &str) -> Result<(), String> {
    program_runs(program).then_some(()).ok_or_else(|| format!("{program} is not installed: run `{install}`"))
}

/// Whether `program --version` works.
pub fn program_runs(program: &str) -> bool {
    process::run(Command::new(program).arg("--version"), LIMIT).is_ok_and(|done| done.status.success())
}

/// Whether the compiler that `folder` selects has a standard library for `target`.
pub(super) fn target(target: &str, folder: &Path) -> Result<(), String> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", target]).current_dir(folder);
    let done =
        process::run(&mut rustc, LIMIT).map_err(|error| format!("{error:#}: install Rust from https://rustup.rs"))?;
    let libraries = String::from_utf8_lossy(&done.stdout).trim_end().to_string();
    if done.status.success() && holds_core(Path::new(&libraries)) {
        return Ok(());
    }
    Err(format!("Rust has no standard library for {target}: run `{INSTALL_TARGET} {target}`"))
}

fn holds_core(libraries: &Path) -> bool {
    let Ok(entries) = libraries.read_dir() else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_remedy() {
        let error = target("avr-none", Path::new(".")).expect_err("no such library");
        assert!(error.ends_with("run `bash tests/setup/targets.sh avr-none`"), "{error}");
    }
}
