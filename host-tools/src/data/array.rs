//! Arrays in `.npy` and `.npz` files.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, bail, ensure};
use ndarray::{ArrayD, Axis};
use ndarray_npy::{NpzReader, ReadNpyError, ReadNpyExt, ReadNpzError, ReadableElement};

/// Numbers for a model.
#[derive(Debug, Clone)]
pub(super) enum Values {
    /// Unsigned bytes: raw pixels.
    Pixels(ArrayD<u8>),
    /// Floats: what the model takes.
    Real(ArrayD<f32>),
}

impl Values {
    pub(super) fn shape(&self) -> &[usize] {
        match self {
            Self::Pixels(x) => x.shape(),
            Self::Real(x) => x.shape(),
        }
    }

    pub(super) fn is_pixels(&self) -> bool {
        matches!(self, Self::Pixels(_))
    }

    /// The same numbers with a first axis of length 1.
    pub(super) fn insert_axis(self) -> Self {
        match self {
            Self::Pixels(x) => Self::Pixels(x.insert_axis(Axis(0))),
            Self::Real(x) => Self::Real(x.insert_axis(Axis(0))),
        }
    }

    /// The numbers at `index` of an axis.
    pub(super) fn at(&self, axis: Axis, index: usize) -> Self {
        match self {
            Self::Pixels(x) => Self::Pixels(x.index_axis(axis, index).to_owned()),
            Self::Real(x) => Self::Real(x.index_axis(axis, index).to_owned()),
        }
    }
}

/// A file of arrays.
pub(super) struct ArrayFile {
    path: PathBuf,
    /// Of its arrays; the one in an `.npy` has an empty name.
    names: Vec<String>,
    npz: Option<NpzReader<BufReader<File>>>,
}

/// An array, or the element type that it has instead.
type Attempt<T> = std::result::Result<ArrayD<T>, String>;

impl ArrayFile {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let what = || path.display().to_string();
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy")) {
            return Ok(Self { path: path.to_path_buf(), names: vec![String::new()], npz: None });
        }
        let file = File::open(path).with_context(what)?;
        let mut npz = NpzReader::new(BufReader::new(file)).with_context(what)?;
        let names = npz.names().with_context(what)?;
        Ok(Self { path: path.to_path_buf(), names, npz: Some(npz) })
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The array for messages.
    pub(super) fn describe(&self, name: &str) -> String {
        let path = self.path.display();
        if name.is_empty() { path.to_string() } else { format!("{path}: array {name}") }
    }

    /// The array as pixels or numbers: floats, and integers such as token ids.
    pub(super) fn values(&mut self, name: &str) -> Result<Values> {
        if let Ok(pixels) = self.read(name)? {
            return Ok(Values::Pixels(pixels));
        }
        if let Ok(real) = self.read(name)? {
            return Ok(Values::Real(real));
        }
        if let Ok(double) = self.read::<f64>(name)? {
            return Ok(Values::Real(double.mapv(|v| v as f32)));
        }
        if let Ok(truth) = self.read::<bool>(name)? {
            return Ok(Values::Real(truth.mapv(|v| f32::from(u8::from(v)))));
        }
        match self.integers(name)? {
            Ok(integers) => Ok(Values::Real(integers.mapv(|v| v as f32))),
            Err(found) => bail!(
                "{}: elements of type {found}; wanted uint8 (pixels), float32 or integers (what the model takes)",
                self.describe(name)
            ),
        }
    }

    /// The array as class indices.
    pub(super) fn labels(&mut self, name: &str) -> Result<Vec<usize>> {
        let wide = match self.integers(name)? {
            Ok(labels) => labels,
            Err(found) => bail!("{}: labels of type {found}; wanted integers", self.describe(name)),
        };
        let what = self.describe(name);
        let longest = wide.shape().iter().copied().max().unwrap_or(1);
        ensure!(wide.len() == longest, "{what}: labels of shape {:?}; wanted one for each sample", wide.shape());
        let label = |&v: &i64| usize::try_from(v).with_context(|| format!("{what}: label {v} is negative"));
        wide.iter().map(label).collect()
    }

    fn integers(&mut self, name: &str) -> Result<Attempt<i64>> {
        if let Ok(v) = self.read::<i64>(name)? {
            return Ok(Ok(v));
        }
        if let Ok(v) = self.read::<i32>(name)? {
            return Ok(Ok(v.mapv(i64::from)));
        }
        if let Ok(v) = self.read::<u32>(name)? {
            return Ok(Ok(v.mapv(i64::from)));
        }
        if let Ok(v) = self.read::<i16>(name)? {
            return Ok(Ok(v.mapv(i64::from)));
        }
        if let Ok(v) = self.read::<i8>(name)? {
            return Ok(Ok(v.mapv(i64::from)));
        }
        Ok(self.read::<u8>(name)?.map(|v| v.mapv(i64::from)))
    }

    /// The array, if its elements are `T`.
    fn read<T: ReadableElement>(&mut self, name: &str) -> Result<Attempt<T>> {
        let read: std::result::Result<ArrayD<T>, ReadNpzError> = match &mut self.npz {
            Some(npz) => npz.by_name(name),
            None => {
                let file = File::open(&self.path).with_context(|| self.path.display().to_string())?;
                ArrayD::read_npy(BufReader::new(file)).map_err(ReadNpzError::Npy)
            }
        };
        match read {
            Ok(array) => Ok(Ok(array)),
            Err(ReadNpzError::Npy(ReadNpyError::WrongDescriptor(found))) => Ok(Err(found.to_string())),
            Err(error) => Err(Error::new(error).context(self.describe(name))),
        }
    }
}
