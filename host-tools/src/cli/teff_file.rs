//! A `.teff` file on disk.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use teff::{Model, VerifyError};
use teff_build::Budget;

use super::args::PreprocessArgs;
use crate::aligned::AlignedBytes;
use crate::board::App;
use crate::data::{Dataset, InputSpec, Preprocess};
use crate::report::{ModelReport, PortReport, text::shape};
use crate::update::is_signed;

/// The bytes of a `.teff`.
pub(super) struct TeffFile {
    path: PathBuf,
    bytes: AlignedBytes,
}

impl TeffFile {
    /// Its bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { path: path.to_path_buf(), bytes: AlignedBytes::from(bytes.as_slice()) })
    }

    /// The verified model.
    pub(super) fn model(&self) -> Result<Model<'_>> {
        let path = self.path.display();
        Model::verify(&self.bytes).map_err(|error| {
            let onnx = self.path.extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx"));
            match error {
                VerifyError::BadMagic if onnx => {
                    anyhow!("{path}: an ONNX model: convert it first, with teff convert {path} --calibration …")
                }
                VerifyError::BadMagic if is_signed(&self.bytes) => anyhow!(
                    "{path} is signed, which `teff push` and `teff flash --model-only` want: use the .teff that was signed"
                ),
                error => anyhow!("{}", explain(error)).context(format!("{path}: refused")),
            }
        })
    }
}

/// Refuses a model that `app` would refuse when its firmware starts.
pub(super) fn suits(model: &Model<'_>, path: &Path, app: App) -> Result<()> {
    let Err(mismatch) = app.check(model) else { return Ok(()) };
    let report = ModelReport::new(model);
    let ports = |kind: &str, ports: &[PortReport]| {
        let one = |port: &PortReport| format!("{kind} {} ({} {})", port.name, port.data_type, shape(&port.shape));
        ports.iter().map(one).collect::<Vec<_>>()
    };
    let ports = [ports("input", &report.inputs), ports("output", &report.outputs)].concat();
    bail!(
        "{} is no model for the application {}: {mismatch}; it has {}; wanted is {}, such as {}",
        path.display(),
        app.name(),
        ports.join(", "),
        app.wants(),
        app.example()
    )
}

/// Refuses a model that is beyond `budget`, what the firmware for `board` gives to one: its build would fail.
pub(super) fn fits(model: &Model<'_>, path: &Path, board: &str, budget: Budget) -> Result<()> {
    let fits = budget.check(model.file_len(), model.memory_len());
    fits.with_context(|| format!("{} does not fit {board}", path.display()))
}

/// What is wrong, in the words of a user, and what to do about it.
fn explain(error: VerifyError) -> String {
    let op = |id| teff::ops::by_id(id).map_or_else(|| format!("operator {id}"), |op| op.name.to_string());
    match error {
        VerifyError::Step { step, op: id, issue } => {
            format!("step {step} ({}) is invalid: {issue:?}; convert the model again", op(id))
        }
        VerifyError::UnknownOp { step, op } => {
            format!(
                "step {step} needs operator {op}, which this version lacks: convert the model again, or update teff"
            )
        }
        VerifyError::Truncated { .. } | VerifyError::Checksum { .. } => {
            format!("{error}; copy it, or convert the model, again")
        }
        error => error.to_string(),
    }
}

/// What the file, and above it the command line, say of pixels.
pub(super) fn preprocess(model: &Model<'_>, args: &PreprocessArgs) -> Result<Option<Preprocess>> {
    let stored = model.metadata_value("preprocess").map(serde_json::from_str).transpose();
    Ok(args.over(stored.context("the file's metadata `preprocess` cannot be read")?))
}

/// Opens a data set whose samples are what a run of a model takes.
pub(super) fn open_runs(model: &Model<'_>, path: &Path, args: &PreprocessArgs) -> Result<Dataset> {
    let entry = model.entry(0).context("no entry point")?;
    open(model, InputSpec::of_entry(&entry)?, path, args)
}

/// Opens a data set for a model; samples for a stream are windows.
pub(super) fn open_windows(model: &Model<'_>, path: &Path, args: &PreprocessArgs) -> Result<Dataset> {
    open(model, InputSpec::of_windows(model)?, path, args)
}

fn open(model: &Model<'_>, inputs: Vec<InputSpec>, path: &Path, args: &PreprocessArgs) -> Result<Dataset> {
    let classes: Vec<&str> = model.labels().collect();
    Dataset::open(path, inputs, preprocess(model, args)?, &classes)
}
