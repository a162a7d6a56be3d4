//! Why a model cannot be embedded.

use std::io;
use std::path::PathBuf;

use teff::VerifyError;

/// Why a build script failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A variable that Cargo sets for build scripts is not set.
    #[error("{variable} is not set: call this from a build script")]
    NoBuildScript {
        /// Its name.
        variable: &'static str,
    },
    /// The model file cannot be read.
    #[error("cannot read the model {path}: {source} ({variable} names another)", variable = crate::MODEL_VARIABLE)]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file of the public key cannot be read.
    #[error("cannot read the public key {path}: {source} ({variable} names it)", variable = crate::KEY_VARIABLE)]
    ReadKey {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file holds no public key.
    #[error("{path} holds no public key, which is 64 hexadecimal digits: `teff keygen` writes one")]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// Model slots without a key.
    #[error("{variable} is not set: it names the public key of those who may sign models for the slots", variable = crate::KEY_VARIABLE)]
    NoKey,
    /// The model cannot be embedded.
    #[error("{firmware}: model {path}: {cause}")]
    Model {
        /// The package whose build script is running: the board's, or one made from it.
        firmware: String,
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: EmbedError,
    },
    /// An output file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Why bytes are no model for this board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmbedError {
    /// They are no valid model.
    #[error("{0}")]
    Invalid(VerifyError),
    /// The file is too large.
    #[error(
        "needs {needed} bytes of flash, this board gives a model {budget}: {} bytes too many; convert a smaller model, or \
         build for a board with more flash",
        needed - budget
    )]
    Flash {
        /// Bytes of the file.
        needed: usize,
        /// Bytes that there are.
        budget: usize,
    },
    /// Arena and state are too large.
    #[error(
        "needs {needed} bytes of RAM, this board gives a model {budget}: {} bytes too many; convert it with smaller inputs \
         (--input) or 8-bit activations, or build for a board with more RAM",
        needed - budget
    )]
    Ram {
        /// Bytes of arena and state.
        needed: usize,
        /// Bytes that there are.
        budget: usize,
    },
}
