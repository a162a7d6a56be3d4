//! What a board's `build.rs` calls: embeds a `.teff` file in the firmware and checks that it fits the board.
//!
//! ```no_run
//! // In `main` of build.rs:
//! teff_build::firmware(teff_build::Budget { flash: 192 << 10, ram: 12 << 10 });
//! ```
//!
//! ```ignore
//! // main.rs
//! include!(concat!(env!("OUT_DIR"), "/model.rs")); // MODEL, MEMORY_LEN, OPS
//! ```
//!
//! The file is the one that the environment variable `TEFF_MODEL` names, or the model that the repository ships. The
//! firmware names, and therefore links, only the operators that the model uses.

mod embed;
mod error;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

pub use embed::{Embedding, embed};
pub use error::{EmbedError, Error};

/// What a board gives to the model; the rest of its memories is for code, stack and whatever else the firmware has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of flash for the model file.
    pub flash: usize,
    /// Bytes of RAM for arena and state.
    pub ram: usize,
}

/// Names the model file to embed.
pub const MODEL_VARIABLE: &str = "TEFF_MODEL";

/// Embeds the model in the firmware whose build script is running: writes `model.rs` and `model.teff` to its output
/// folder. If that fails, so does the build, with a message for a person.
///
/// The board's folder, which holds `memory.x`, is added to the linker's search path.
pub fn firmware(budget: Budget) {
    if let Err(error) = try_firmware(budget) {
        // Cargo shows the lines of one error as separate errors: keep to one line.
        println!("cargo::error={error}");
        std::process::exit(1);
    }
}

fn try_firmware(budget: Budget) -> Result<(), Error> {
    let path = model_path();
    println!("cargo::rerun-if-env-changed={MODEL_VARIABLE}");
    println!("cargo::rerun-if-changed={}", path.display());
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=memory.x");
    println!("cargo::rustc-link-search={}", variable("CARGO_MANIFEST_DIR")?.display());

    let file = fs::read(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
    let embedding = embed(&file, budget).map_err(|cause| Error::Model { path, cause })?;
    let out = variable("OUT_DIR")?;
    write(&out.join("model.teff"), &file)?;
    write(&out.join("model.rs"), embedding.source.as_bytes())
}

fn model_path() -> PathBuf {
    env::var_os(MODEL_VARIABLE).map_or_else(|| repository().join("models/lightcnn-mnist/model.teff"), PathBuf::from)
}

/// The repository's root, two folders above this crate.
fn repository() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

fn variable(name: &'static str) -> Result<PathBuf, Error> {
    env::var_os(name).map(PathBuf::from).ok_or(Error::NoBuildScript { variable: name })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    fs::write(path, bytes).map_err(|source| Error::Write { path: path.into(), source })
}
