//! What can be wrong with a file.

use core::fmt;

/// Why a file was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyError {
    /// The buffer does not start at a multiple of 16 bytes.
    Misaligned,
    /// The file does not begin with `TEFF`.
    BadMagic,
    /// The file is of another major version.
    Version {
        /// Major version of the file.
        major: u16,
        /// Minor version of the file.
        minor: u16,
    },
    /// Fewer bytes than the file says it has.
    Truncated {
        /// Bytes that are needed.
        needed: u32,
        /// Bytes that there are.
        found: u32,
    },
    /// The CRC-32 differs.
    Checksum {
        /// What the header says.
        stored: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// A section is wrong.
    Section {
        /// One of [`super::layout::section`].
        kind: u16,
        /// What.
        issue: SectionIssue,
    },
    /// A memory pool is wrong.
    Pool {
        /// Index in the pools section.
        index: u16,
    },
    /// A tensor is wrong.
    Tensor {
        /// Index in the tensors section.
        index: u16,
        /// What.
        issue: TensorIssue,
    },
    /// Two tensors that hold values at the same time share memory.
    OverlappingTensors {
        /// Index of the one.
        a: u16,
        /// Index of the other.
        b: u16,
    },
    /// A step names an operator that this runtime, or this firmware, does not have.
    UnknownOp {
        /// Index in the steps section.
        step: u16,
        /// The id.
        op: u16,
    },
    /// A step is wrong.
    Step {
        /// Index in the steps section.
        step: u16,
        /// The operator's id.
        op: u16,
        /// What.
        issue: OpIssue,
    },
    /// A step's scratch memory overlaps a tensor that holds a value.
    OverlappingScratch {
        /// Index in the steps section.
        step: u16,
        /// Index of the tensor.
        tensor: u16,
    },
    /// An entry point is wrong: its steps, its name, or its place among the others.
    Entry {
        /// Index in the entries section.
        index: u16,
    },
    /// An input or output is wrong.
    Port {
        /// Index in the ports section.
        index: u16,
        /// What.
        issue: PortIssue,
    },
}

/// What is wrong with a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SectionIssue {
    /// A section that every file needs is not there.
    Missing,
    /// The section occurs twice.
    Duplicate,
    /// The offset is not a multiple of 16.
    Misaligned,
    /// The section does not end within the file.
    OutOfFile,
    /// The length is no multiple of the element size, or no count that the other sections imply.
    Length,
    /// A text is not UTF-8 or lies outside the strings section.
    Text,
}

/// What is wrong with a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TensorIssue {
    /// Unknown element type.
    DataType,
    /// Too many axes, a dimension of 0, or too many elements.
    Shape,
    /// The storage is no pool of the file.
    Storage,
    /// It does not lie within its pool or section.
    OutOfBounds,
    /// The offset is not aligned to 16 (constants) or to the element (others).
    Misaligned,
    /// The zero point is no value of the element type.
    ZeroPoint,
    /// The scale is not a finite positive number.
    Scale,
    /// `first` comes after `last`, or lies outside the steps.
    Lifetime,
    /// Arena tensors do not come in the order of `first`.
    Order,
}

/// What is wrong with a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpIssue {
    /// The number of inputs or outputs, or an operand's index.
    Operands,
    /// An operand has the wrong element type.
    DataType,
    /// An operand has a wrong shape.
    Shape,
    /// A constant was wanted where an activation stands, or the reverse.
    Storage,
    /// Input and output must have the same scale and zero point.
    Quantization,
    /// The parameters are truncated or misaligned.
    ParamsLength,
    /// A parameter is out of its range.
    Params,
    /// A multiplier is out of its range.
    Multiplier,
    /// A shift is out of its range.
    Shift,
    /// A bias is so large that the accumulator could overflow.
    Bias,
    /// A table of a function points to knots that it does not have.
    Table,
    /// So many products are summed that the accumulator could overflow.
    Depth,
    /// The scratch memory is too small, misaligned, or outside the arena.
    Scratch,
    /// An input holds no value at this step.
    ReadBeforeWrite,
    /// An output is a constant, is written twice, or its `first` is another step.
    Write,
    /// The operator is linked in a narrow form ([`crate::ops::NARROW`]) that leaves out what the step needs.
    Narrow,
}

/// What is wrong with a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PortIssue {
    /// The tensor's index, or where it is stored.
    Tensor,
    /// An input that is not marked as one, or that does not live from the entry's first step.
    Input,
    /// An output that does not live to the entry's last step.
    Output,
    /// The permutation.
    Permutation,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Misaligned => write!(f, "the buffer is not aligned to 16 bytes"),
            Self::BadMagic => write!(f, "not a .teff file: it does not begin with TEFF"),
            Self::Version { major, minor } => write!(
                f,
                "format version {major}.{minor}, this runtime reads {}.x: convert the model again",
                super::layout::MAJOR
            ),
            Self::Truncated { needed, found } => write!(f, "truncated: {found} of {needed} bytes"),
            Self::Checksum { stored, computed } => {
                write!(f, "damaged: CRC-32 {computed:#010x}, the header says {stored:#010x}")
            }
            Self::Section { kind, issue } => write!(f, "section {kind}: {issue:?}"),
            Self::Pool { index } => write!(f, "memory pool {index}: wrong kind or size"),
            Self::Tensor { index, issue } => write!(f, "tensor {index}: {issue:?}"),
            Self::OverlappingTensors { a, b } => {
                write!(f, "tensors {a} and {b} hold values at the same time and share memory")
            }
            Self::UnknownOp { step, op } => write!(f, "step {step}: operator {op} is not in this runtime"),
            Self::Step { step, op, issue } => write!(f, "step {step} (operator {op}): {issue:?}"),
            Self::OverlappingScratch { step, tensor } => {
                write!(f, "step {step}: its scratch memory overlaps tensor {tensor}")
            }
            Self::Entry { index } => write!(f, "entry point {index}: wrong steps, ports or name"),
            Self::Port { index, issue } => write!(f, "port {index}: {issue:?}"),
        }
    }
}

impl core::error::Error for VerifyError {}
