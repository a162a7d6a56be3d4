//! The structs of the file, byte for byte. All numbers are little-endian; `docs/format.md` is the specification.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// First bytes of a file.
pub const MAGIC: [u8; 4] = *b"TEFF";
/// A reader refuses a file of another major version.
pub const MAJOR: u16 = 1;
/// A reader accepts every minor version: newer ones only add sections and metadata that may be ignored.
pub const MINOR: u16 = 0;
/// Alignment of the file in memory, of its sections and of every constant in it.
pub const ALIGNMENT: usize = 16;
/// Bytes of the header before the CRC field, and the offset of that field.
pub const CRC_OFFSET: usize = 12;
/// Largest number of axes.
pub const MAX_RANK: usize = 8;
/// Largest number of tensors: bounds the time of verification.
pub const MAX_TENSORS: usize = 1 << 14;
/// Largest number of memory pools.
pub const MAX_POOLS: usize = 4;

/// Kinds of sections. A reader ignores kinds that it does not know.
#[allow(missing_docs)]
pub mod section {
    pub const POOLS: u16 = 1;
    pub const SHAPES: u16 = 2;
    pub const TENSORS: u16 = 3;
    pub const OPERANDS: u16 = 4;
    pub const STEPS: u16 = 5;
    pub const PARAMS: u16 = 6;
    pub const PORTS: u16 = 7;
    pub const ENTRIES: u16 = 8;
    pub const WEIGHTS: u16 = 9;
    pub const STRINGS: u16 = 10;
    pub const METADATA: u16 = 11;
    pub const SELF_TEST_INPUT: u16 = 12;
    pub const SELF_TEST_CRCS: u16 = 13;
    pub const STEP_NAMES: u16 = 14;
    pub const TENSOR_NAMES: u16 = 15;
    pub const TOKENIZER: u16 = 18;
}

/// The first 32 bytes.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: [u8; 4],
    /// [`MAJOR`].
    pub major: u16,
    /// [`MINOR`] of the writer.
    pub minor: u16,
    /// Bytes of the whole file; what follows in memory is not part of it.
    pub file_len: u32,
    /// CRC-32 of the file without this field.
    pub crc: u32,
    /// Entries of the section table that follows the header.
    pub section_count: u16,
    /// 0.
    pub reserved: [u16; 7],
}

/// One entry of the section table.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SectionDesc {
    /// One of [`section`].
    pub kind: u16,
    /// 0.
    pub reserved: u16,
    /// From the start of the file; a multiple of [`ALIGNMENT`].
    pub offset: u32,
    /// In bytes.
    pub len: u32,
}

/// A region of memory that the caller provides.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PoolDesc {
    /// 0: arena (contents last within a run); 1: state (contents outlive a run).
    pub kind: u8,
    /// 0.
    pub reserved: [u8; 3],
    /// Bytes, a multiple of [`ALIGNMENT`].
    pub len: u32,
}

/// A tensor.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TensorDesc {
    /// Element type: 1 = i8, 2 = i16, 3 = i32, 4 = u8.
    pub data_type: u8,
    /// Number of axes, at most [`MAX_RANK`].
    pub rank: u8,
    /// 0: constant in the weights section; n > 0: in pool n − 1.
    pub storage: u8,
    /// Bit 0: the caller writes it before a run (an input of an entry).
    pub flags: u8,
    /// Index of its first dimension in the shapes section.
    pub shape_start: u32,
    /// From the start of the weights section or of the pool.
    pub offset: u32,
    /// The quantized value that stands for 0.
    pub zero_point: i32,
    /// Real value of one quantization step; 1.0 where it has no meaning.
    pub scale: f32,
    /// First step at which the tensor holds a value: the step that writes it, or the entry's first for an input.
    pub first: u16,
    /// Last step that reads it; outputs of an entry last to its last step.
    pub last: u16,
}

/// [`TensorDesc::flags`]: the caller writes the tensor before a run.
pub const FLAG_INPUT: u8 = 1;

/// One step: an operator applied to tensors.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct StepDesc {
    /// The operator's id in the table of [`crate::ops`].
    pub op: u16,
    /// Number of input operands.
    pub inputs: u8,
    /// Number of output operands, which follow the inputs.
    pub outputs: u8,
    /// Index of the first operand in the operands section.
    pub operand_start: u32,
    /// From the start of the params section; a multiple of 4.
    pub params_offset: u32,
    /// Bytes of parameters.
    pub params_len: u32,
    /// Scratch memory in pool 0; a multiple of [`ALIGNMENT`].
    pub scratch_offset: u32,
    /// Bytes of scratch memory.
    pub scratch_len: u32,
}

/// A piece of the strings section.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct StringRef {
    /// From the start of the strings section.
    pub offset: u32,
    /// Bytes of UTF-8.
    pub len: u32,
}

/// An input or output of an entry.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PortDesc {
    /// The tensor.
    pub tensor: u16,
    /// Number of axes of `perm`; 0 if the layout is that of the source model.
    pub perm_rank: u16,
    /// The name in the source model.
    pub name: StringRef,
    /// Axis i of the tensor is axis `perm[i]` of the source model's tensor.
    pub perm: [u8; MAX_RANK],
}

/// A sequence of steps that a caller can run: a model has one or more, over the same weights.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct EntryDesc {
    /// For example `main`, `prefill`, `decode`.
    pub name: StringRef,
    /// First step.
    pub step_start: u32,
    /// Number of steps, at least 1.
    pub step_count: u32,
    /// First port; inputs come before outputs.
    pub port_start: u32,
    /// Number of input ports.
    pub inputs: u16,
    /// Number of output ports.
    pub outputs: u16,
}

/// A key and its value.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct MetadataDesc {
    /// For example `labels`.
    pub key: StringRef,
    /// UTF-8 text.
    pub value: StringRef,
}

const _: () = {
    assert!(size_of::<Header>() == 32);
    assert!(size_of::<SectionDesc>() == 12);
    assert!(size_of::<PoolDesc>() == 8);
    assert!(size_of::<TensorDesc>() == 24);
    assert!(size_of::<StepDesc>() == 24);
    assert!(size_of::<PortDesc>() == 20);
    assert!(size_of::<EntryDesc>() == 24);
    assert!(size_of::<MetadataDesc>() == 16);
};
