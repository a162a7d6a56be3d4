//! Builds firmware: Cargo, in the board's folder.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{App, Board, Elf, Hardware, process, repository};

/// A cold build of a firmware takes a minute on a slow machine; another Cargo may hold the lock for long before.
const LIMIT: Duration = Duration::from_secs(45 * 60);

/// Builds the firmware of `board` with the model at `model` in it.
///
/// # Errors
/// If Cargo or a linker fails, or the model does not fit the board; the message holds what they said.
pub fn build(board: &Board, model: &Path) -> Result<Elf> {
    build_binary(board, board.binary, model)
}

/// [`build`] for another binary of the board's crate.
///
/// # Errors
/// As [`build`].
pub fn build_binary(board: &Board, binary: &str, model: &Path) -> Result<Elf> {
    build_crate(board.name, board.folder, board.target, binary, model, Kind::Application)
}

/// [`build`] of the firmware that answers the requests of `teff compare`.
///
/// # Errors
/// As [`build`].
pub fn build_comparing(board: &Board, model: &Path) -> Result<Elf> {
    build_crate(board.name, board.folder, board.target, board.binary, model, Kind::Comparing)
}

/// What a board's firmware does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'k> {
    /// It runs the application.
    Application,
    /// It answers the requests of `teff compare`.
    Comparing,
    /// It runs the application with the model of a slot, if there is one that the key in this file signed.
    Slots(&'k Path),
}

impl Kind<'_> {
    /// The features of a board's crate.
    pub(crate) const fn features(&self) -> &'static [&'static str] {
        match self {
            Self::Application => &[],
            Self::Comparing => &["--features", "compare"],
            Self::Slots(_) => &["--features", "slots"],
        }
    }
}

/// [`build`] of the application `app` for a board that is no emulator; only [`App::Digits`] is there in every kind.
///
/// # Errors
/// As [`build`], and if the board has no such application, or model slots are wanted for one that cannot have them.
pub fn build_hardware(board: &Hardware, app: App, model: &Path, kind: Kind<'_>) -> Result<Elf> {
    if matches!(kind, Kind::Slots(_)) {
        app.takes_updates()?;
    }
    build_crate(board.name, board.folder, board.target, &board.program(app)?, model, kind)
}

fn build_crate(name: &str, folder: &str, target: &str, binary: &str, model: &Path, kind: Kind<'_>) -> Result<Elf> {
    let model = fs::canonicalize(model).with_context(|| format!("cannot read the model {}", model.display()))?;
    let mut cargo = cargo();
    cargo
        .current_dir(repository()?.join(folder))
        .args(["build", "--release", "--bin", binary, "--target", target])
        .args(kind.features())
        .env("TEFF_MODEL", &model)
        .env("DEFMT_LOG", "debug");
    if let Kind::Slots(key) = kind {
        let key = fs::canonicalize(key).with_context(|| format!("cannot read the public key {}", key.display()))?;
        cargo.env("TEFF_PUBLIC_KEY", key);
    }
    let _building = lock()?;
    let path = build_artifact(&mut cargo, binary)
        .with_context(|| format!("cannot build the firmware for {name} with {}", model.display()))?;
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Elf::parse(bytes).with_context(|| format!("{} is not what the linker should give", path.display()))
}

/// A firmware's path is the same for every model: until the file is dropped, no other build, of this process or of another,
/// comes between the end of a build and the reading of its result.
fn lock() -> Result<File> {
    let folder = repository()?.join("target");
    let path = folder.join("firmware.lock");
    let locked = fs::create_dir_all(&folder).and_then(|()| File::create(&path)).and_then(|file| {
        file.lock()?;
        Ok(file)
    });
    locked.with_context(|| format!("cannot lock {}", path.display()))
}

/// The Cargo that runs this program, or else the one on the path.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Of the package that is running, not of the one that is built.
    cargo.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_BUILD_TARGET");
    cargo
}

/// Runs `cargo build …` and gives the file that it made for the binary, example or library `name`.
pub(super) fn build_artifact(cargo: &mut Command, name: &str) -> Result<PathBuf> {
    let done = process::run(cargo.args(["--message-format", "json-render-diagnostics"]), LIMIT)?;
    if !done.status.success() {
        bail!("cargo failed\n{}", done.messages());
    }
    let messages = String::from_utf8_lossy(&done.stdout);
    artifact(&messages, name).with_context(|| format!("cargo made no artifact of the name {name}"))
}

/// The file of the artifact `name` in Cargo's messages, a JSON object a line.
fn artifact(messages: &str, name: &str) -> Option<PathBuf> {
    let mut messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages.find_map(|message| {
        let is_it = message["reason"] == "compiler-artifact" && message["target"]["name"] == name;
        let file = message["executable"].as_str().or_else(|| message["filenames"][0].as_str());
        file.filter(|_| is_it).map(PathBuf::from)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_artifact_is_found_among_the_messages() {
        let messages = r#"
{"reason":"compiler-artifact","target":{"name":"crc"},"filenames":["/t/libcrc.rlib"],"executable":null}
{"reason":"compiler-artifact","target":{"name":"firmware"},"filenames":["/t/firmware"],"executable":"/t/firmware"}
{"reason":"compiler-artifact","target":{"name":"icount"},"filenames":["/t/libicount.so"],"executable":null}
{"reason":"build-finished","success":true}"#;
        assert_eq!(artifact(messages, "firmware"), Some("/t/firmware".into()));
        assert_eq!(artifact(messages, "icount"), Some("/t/libicount.so".into()));
        assert_eq!(artifact(messages, "absent"), None);
    }
}
