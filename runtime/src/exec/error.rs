//! What can go wrong with a session.

use core::fmt;

use crate::kernels::index::Fault;

/// Why a session could not be made, or a port not be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionError {
    /// The memory is smaller than [`crate::Model::memory_len`].
    MemoryTooSmall {
        /// Bytes that are needed.
        needed: usize,
        /// Bytes that were given.
        found: usize,
    },
    /// The memory does not start at a multiple of 16 bytes: wrap it in [`crate::Aligned`].
    MemoryMisaligned,
    /// There is no entry point, input or output of this index.
    NoSuchPort {
        /// The index that was asked for.
        index: usize,
    },
    /// The elements of the port are of another type.
    WrongType,
}

/// Why a run stopped.
///
/// A verified model gives no [`RunError::Inconsistent`]: the executor checks again what verification proved, and
/// reports instead of panicking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunError {
    /// Operands do not have the sizes that verification proved.
    Inconsistent {
        /// Index of the step.
        step: u16,
    },
    /// An index computed from data is out of range.
    IndexOutOfRange {
        /// Index of the step.
        step: u16,
    },
    /// There is no such entry point.
    NoSuchEntry,
}

/// How a self-test ended if not well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SelfTestError {
    /// The file holds no self-test.
    Absent,
    /// A step gave other bits than on the PC that converted the model.
    Mismatch {
        /// The first such step.
        step: u16,
        /// CRC-32 of its output on the PC.
        expected: u32,
        /// CRC-32 of its output here.
        found: u32,
    },
    /// The run stopped.
    Run(RunError),
}

impl RunError {
    /// This error, or, if the data is at fault, [`RunError::IndexOutOfRange`] at the same step.
    pub(crate) fn of(self, fault: Fault) -> Self {
        match (self, fault) {
            (Self::Inconsistent { step }, Fault::Index) => Self::IndexOutOfRange { step },
            _ => self,
        }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MemoryTooSmall { needed, found } => write!(f, "{found} bytes of memory given, {needed} needed"),
            Self::MemoryMisaligned => write!(f, "the memory is not aligned to 16 bytes"),
            Self::NoSuchPort { index } => write!(f, "the model has no input, output or entry point {index}"),
            Self::WrongType => write!(f, "the elements of this port are of another type"),
        }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Inconsistent { step } => write!(f, "step {step}: operands do not have the verified sizes"),
            Self::IndexOutOfRange { step } => write!(f, "step {step}: an index from data is out of range"),
            Self::NoSuchEntry => write!(f, "the model has no such entry point"),
        }
    }
}

impl fmt::Display for SelfTestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Absent => write!(f, "the model holds no self-test"),
            Self::Mismatch { step, expected, found } => {
                write!(f, "self-test: step {step} gave CRC {found:#010x}, the PC {expected:#010x}")
            }
            Self::Run(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SessionError {}
impl core::error::Error for RunError {}
impl core::error::Error for SelfTestError {}
