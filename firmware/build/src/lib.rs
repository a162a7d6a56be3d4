//! What a board's `build.rs` calls: embeds a `.teff` file in the firmware and checks that it fits the board.
//!
//! ```no_run
//! // In `main` of build.rs:
//! teff_build::firmware(teff_build::Budget { flash: 192 << 10, ram: 12 << 10 });
//! ```
//!
//! ```ignore
//! // main.rs
//! include!(concat!(env!("OUT_DIR"), "/model.rs"));
//! // MODEL, MEMORY_LEN = ARENA_LEN + STATE_LEN, OPS, embedded, and PUBLIC_KEY if a key is named
//! ```
//!
//! The file is the one that the environment variable `TEFF_MODEL` names, or the model that the repository ships. The
//! firmware names, and therefore links, only the operators that the model uses. `TEFF_PUBLIC_KEY` names the file with the
//! public key that `teff keygen` wrote, for firmware that takes signed models (`teff-slots`).

mod boards;
mod embed;
mod error;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

pub use boards::budget;
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

impl Budget {
    /// Whether a model of `flash` bytes fits that needs `ram` bytes of arena and state.
    ///
    /// # Errors
    /// [`EmbedError::Flash`], else [`EmbedError::Ram`].
    pub fn check(self, flash: usize, ram: usize) -> Result<(), EmbedError> {
        if flash > self.flash {
            return Err(EmbedError::Flash { needed: flash, budget: self.flash });
        }
        if ram > self.ram {
            return Err(EmbedError::Ram { needed: ram, budget: self.ram });
        }
        Ok(())
    }
}

/// Names the file with the public key of those who may sign models for this firmware: 64 hexadecimal digits.
pub const KEY_VARIABLE: &str = "TEFF_PUBLIC_KEY";

/// Names the model file to embed.
pub const MODEL_VARIABLE: &str = "TEFF_MODEL";

/// Embeds the model in the firmware whose build script is running: writes `model.rs` and `model.teff` to its output
/// folder. If that fails, so does the build, with a message for a person.
///
/// The board's folder, which holds `memory.x`, is added to the linker's search path.
pub fn firmware(budget: Budget) {
    firmware_of(repository().join("models/lightcnn-mnist/model.teff"), budget);
}

/// [`firmware`] with another model than the repository's where [`MODEL_VARIABLE`] names none: the file at `model`, from the
/// folder of the package.
pub fn firmware_of(model: impl AsRef<Path>, budget: Budget) {
    if let Err(error) = try_firmware(model.as_ref(), budget) {
        // Cargo shows the lines of one error as separate errors: keep to one line.
        println!("cargo::error={error}");
        std::process::exit(1);
    }
}

fn try_firmware(model: &Path, budget: Budget) -> Result<(), Error> {
    let path = env::var_os(MODEL_VARIABLE).map_or_else(|| model.into(), PathBuf::from);
    println!("cargo::rerun-if-env-changed={MODEL_VARIABLE}");
    println!("cargo::rerun-if-changed={}", path.display());
    println!("cargo::rerun-if-changed=build.rs");
    // Cargo would run the script each time for a file that is not there.
    if Path::new("memory.x").exists() {
        println!("cargo::rerun-if-changed=memory.x");
    }
    println!("cargo::rustc-link-search={}", variable("CARGO_MANIFEST_DIR")?.display());

    let file = fs::read(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
    let firmware = env::var("CARGO_PKG_NAME").map_err(|_| Error::NoBuildScript { variable: "CARGO_PKG_NAME" })?;
    let embedding = embed(&file, budget).map_err(|cause| Error::Model { firmware, path, cause })?;
    let out = variable("OUT_DIR")?;
    write(&out.join("model.teff"), &file)?;
    let mut source = embedding.source;
    println!("cargo::rerun-if-env-changed={KEY_VARIABLE}");
    if let Some(path) = env::var_os(KEY_VARIABLE).map(PathBuf::from) {
        println!("cargo::rerun-if-changed={}", path.display());
        let text = fs::read_to_string(&path).map_err(|source| Error::ReadKey { path: path.clone(), source })?;
        source += &public_key(&text).ok_or(Error::Key { path })?;
    }
    write(&out.join("model.rs"), source.as_bytes())
}

/// Where a firmware keeps models that it is given later (`teff-slots`): whole sectors of its flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    /// Address of the first byte.
    pub address: usize,
    /// Bytes.
    pub len: usize,
    /// Bytes of RAM for arena and state of any model that may come.
    pub ram: usize,
    /// Whether the firmware's own addresses are those of the flash, so that the linker can keep it out of the slots.
    pub linked: bool,
}

/// Sets `slots` aside, after [`firmware`] and after the build script has named `link.x`: writes their numbers to `slots.rs` as `ADDRESS`,
/// `LEN` and `MEMORY_LEN`, and lets the linker refuse a firmware that reaches into them. Without a public key the build
/// fails: nothing could ever be put there.
pub fn slots(slots: Slots) {
    if let Err(error) = try_slots(slots) {
        println!("cargo::error={error}");
        std::process::exit(1);
    }
}

fn try_slots(slots: Slots) -> Result<(), Error> {
    if env::var_os(KEY_VARIABLE).is_none() {
        return Err(Error::NoKey);
    }
    let out = variable("OUT_DIR")?;
    write(&out.join("slots.rs"), slots_source(slots).as_bytes())?;
    if slots.linked {
        write(&out.join("slots.x"), slots_script(slots).as_bytes())?;
        println!("cargo::rustc-link-arg-bins=-T{}", out.join("slots.x").display());
    }
    Ok(())
}

fn slots_source(Slots { address, len, ram, .. }: Slots) -> String {
    format!(
        "/// Address of the model slots.
pub const ADDRESS: usize = {address:#x};
/// Their bytes.
pub const LEN: usize = {len:#x};
/// Bytes for arena and state of any model.
pub const MEMORY_LEN: usize = {ram};
"
    )
}

/// The initial values of variables are the last of a firmware.
fn slots_script(Slots { address, len, .. }: Slots) -> String {
    format!(
        "__teff_slots_start = {address:#x};
__teff_slots_end = {:#x};
ASSERT(LOADADDR(.data) + SIZEOF(.data) <= __teff_slots_start, \"
the firmware with its own model reaches into the model slots at {address:#x}: embed a smaller one\");
",
        address + len
    )
}

/// The source of the constant `PUBLIC_KEY`; `None` if `text` is no key.
fn public_key(text: &str) -> Option<String> {
    let digits = text.trim();
    let pairs = digits.as_bytes().as_chunks::<2>().0;
    let byte = |pair: &[u8; 2]| u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok();
    let key: Vec<u8> = pairs.iter().map(byte).collect::<Option<_>>()?;
    let is_key = digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_key.then(|| {
        format!(
            "\n/// The Ed25519 public key of those who may sign models.\npub const PUBLIC_KEY: [u8; 32] = {key:?};\n"
        )
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linker_keeps_the_firmware_out_of_the_slots() {
        let slots = Slots { address: 0x8_0000, len: 0x8_0000, ram: 1000, linked: true };
        assert!(slots_source(slots).contains("LEN: usize = 0x80000") && slots_source(slots).contains("= 1000;"));
        let script = slots_script(slots);
        assert!(
            script.contains("__teff_slots_end = 0x100000;") && script.contains("ASSERT(LOADADDR(.data)"),
            "{script}"
        );
    }

    #[test]
    fn a_key_becomes_a_constant_and_what_is_none_is_refused() {
        let source = public_key(&format!("{}\n", "0a".repeat(32))).expect("a key");
        assert!(source.contains("PUBLIC_KEY: [u8; 32] = [10, 10, "), "{source}");
        for bad in [String::new(), "0a".repeat(31), "0a".repeat(33), "+a".repeat(32), "ä".repeat(32)] {
            assert_eq!(public_key(&bad), None, "{bad}");
        }
    }
}
