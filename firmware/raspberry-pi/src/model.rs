//! A model from a file, and memory for it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use teff::{Model, SelfTestError, Session};
use teff_app::digits::Embedded;
use zerocopy::IntoBytes;

/// A verified model that computes here what it computed on the PC.
pub struct Loaded {
    /// Where it came from.
    pub path: PathBuf,
    /// Its bytes, and all operators: which of them it uses is known only now.
    pub embedded: Embedded,
    /// As many bytes as it needs, aligned to 16.
    pub memory: &'static mut [u8],
    /// What it is, and the instructions that its kernels were chosen for, in a line.
    pub summary: String,
    model: &'static Model<'static>,
}

impl Loaded {
    /// The verified model.
    pub fn model(&self) -> &'static Model<'static> {
        self.model
    }
}

/// The first of `paths` that is there, verifies and passes its self-test; of those before it, standard error says why
/// they are not run.
///
/// # Errors
/// If there is none.
pub fn first_that_works(paths: &[PathBuf]) -> Result<Loaded> {
    for path in paths {
        match load(path) {
            Ok(loaded) => return Ok(loaded),
            Err(error) if paths.len() == 1 => return Err(error),
            Err(error) => say!("not run: {error:#}"),
        }
    }
    if paths.is_empty() {
        bail!("no model is named: --model MODEL.teff, or `models` in the configuration");
    }
    bail!("none of the configured models can be run");
}

/// Reads, verifies and tests a model. It and its memory stay for the life of the program.
///
/// # Errors
/// If it cannot be read, is no valid model, or does not compute what it computed on the PC.
pub fn load(path: &Path) -> Result<Loaded> {
    let name = path.display();
    let file = fs::read(path).with_context(|| format!("cannot read the model {name}"))?;
    let place = aligned(file.len());
    place.copy_from_slice(&file);
    let embedded = Embedded { model: place, ops: teff::ops::ALL };
    let model = Model::verify(embedded.model).map_err(|error| anyhow!("{name} is not valid: {error}"))?;
    let model: &'static Model<'static> = Box::leak(Box::new(model));
    let memory = aligned(model.memory_len());
    let mut session = Session::new(model, memory).map_err(|error| anyhow!("{name}: {error}"))?;
    let tested = match session.self_test() {
        Ok(()) => "self-test: every step as on the PC",
        Err(SelfTestError::Absent) => "self-test: the model has none",
        Err(error) => bail!("{name}: {error}"),
    };
    let summary = format!(
        "model {:08x}: {} bytes, {} steps, {} bytes of memory; {tested}, by {}",
        model.crc(),
        model.file_len(),
        model.step_count(),
        model.memory_len(),
        teff::arch::instructions()
    );
    // The session of the self-test is gone, and with it the borrow of its memory.
    let memory = aligned(model.memory_len());
    Ok(Loaded { path: path.into(), embedded, memory, summary, model })
}

/// `len` bytes that begin at a multiple of 16, for the life of the program.
fn aligned(len: usize) -> &'static mut [u8] {
    const { assert!(align_of::<u128>() == 16) };
    let words = vec![0_u128; len.div_ceil(16)].leak();
    &mut words.as_mut_bytes()[..len]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/lightcnn-mnist/model.teff")
    }

    #[test]
    fn the_first_that_works_is_run() {
        let folder = tempfile::tempdir().unwrap();
        let damaged = folder.path().join("damaged.teff");
        let mut file = fs::read(shipped()).unwrap();
        *file.last_mut().unwrap() ^= 1;
        fs::write(&damaged, file).unwrap();
        let missing = folder.path().join("missing.teff");
        let loaded = first_that_works(&[missing.clone(), damaged.clone(), shipped()]).unwrap();
        assert_eq!(loaded.path, shipped());
        assert_eq!(loaded.memory.len(), loaded.model().memory_len());
        assert!(loaded.summary.contains("every step as on the PC"), "{}", loaded.summary);

        let why = |paths: &[PathBuf]| format!("{:#}", first_that_works(paths).err().unwrap());
        let one = why(std::slice::from_ref(&damaged));
        assert!(one.contains("damaged.teff is not valid"), "{one}");
        assert!(why(std::slice::from_ref(&missing)).contains("cannot read the model"));
        assert_eq!(why(&[missing, damaged]), "none of the configured models can be run");
        assert!(why(&[]).contains("--model"));
    }
}
