//! A verified model.

use core::ops::Range;

use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::error::VerifyError;
use super::layout::{
    ALIGNMENT, EntryDesc, FLAG_INPUT, MAX_POOLS, MetadataDesc, PoolDesc, PortDesc, StepDesc, StringRef, TensorDesc,
};
use super::tensor::{DataType, Storage, Tensor};
use super::verify;
use crate::ops::OpDef;

/// The sections of a file as typed slices.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sections<'m> {
    pub(super) pools: &'m [PoolDesc],
    pub(super) shapes: &'m [u32],
    pub(super) tensors: &'m [TensorDesc],
    pub(super) operands: &'m [u16],
    pub(super) steps: &'m [StepDesc],
    pub(super) params: &'m [u8],
    pub(super) ports: &'m [PortDesc],
    pub(super) entries: &'m [EntryDesc],
    pub(super) weights: &'m [u8],
    pub(super) strings: &'m [u8],
    pub(super) metadata: &'m [MetadataDesc],
    pub(super) self_test_input: &'m [u8],
    pub(super) self_test_crcs: &'m [u32],
    pub(super) step_names: &'m [StringRef],
    pub(super) tensor_names: &'m [StringRef],
    pub(super) tokenizer: &'m [u8],
}

/// A model that has been verified: a typed view of its file, which stays where it is.
///
/// Every value of this type satisfies contract 2 of the design: running it cannot panic, read outside its slices, or
/// loop without a bound.
#[derive(Debug, Clone, Copy)]
pub struct Model<'m> {
    pub(super) sections: Sections<'m>,
    pub(super) ops: &'static [&'static OpDef],
    /// Offset of each pool in the session's memory.
    pub(super) pool_start: [usize; MAX_POOLS],
    pub(super) memory_len: usize,
    pub(super) file_len: usize,
    pub(super) crc: u32,
}

impl<'m> Model<'m> {
    /// Verifies a file with every operator of this runtime.
    ///
    /// `bytes` starts at a multiple of 16 (see [`crate::Aligned`]) and may be longer than the file.
    ///
    /// # Errors
    /// The first thing that is wrong with the file.
    pub fn verify(bytes: &'m [u8]) -> Result<Self, VerifyError> {
        Self::verify_with(bytes, crate::ops::ALL)
    }

    /// Verifies a file with the operators `ops`; a firmware that names only those which its model uses links no
    /// others.
    ///
    /// # Errors
    /// The first thing that is wrong with the file, [`VerifyError::UnknownOp`] if it needs an operator that `ops`
    /// lacks.
    pub fn verify_with(bytes: &'m [u8], ops: &'static [&'static OpDef]) -> Result<Self, VerifyError> {
        verify::verify(bytes, ops)
    }

    /// The model that a firmware embeds, and that [`Model::verify`] accepted when the firmware was built: `teff-build` calls it
    /// in the build script and writes the call of this function.
    ///
    /// What the file says about its steps and tensors is taken as proved, so that a firmware without models from elsewhere links
    /// no checks of them ([`OpDef::only_run`]). What the device adds is checked here and by [`crate::Session::new`]: that the
    /// bytes are still those (CRC-32), that they are aligned, and that the memory is as large as the file wants. Every slice of a
    /// run is checked as ever: also a file that was never verified reads and writes nothing outside its slices and panics
    /// nowhere; but its results may mean nothing, and its run may take as long as its shapes say. Bytes from a slot, a line or a
    /// file are for [`Model::verify_with`].
    ///
    /// # Errors
    /// As [`Model::verify`] for header, length, checksum, sections and pools.
    pub fn embedded(bytes: &'m [u8], ops: &'static [&'static OpDef]) -> Result<Self, VerifyError> {
        verify::embedded(bytes, ops)
    }

    /// For a converter: tells `each` the bytes of scratch memory that each step needs, before a plan gives it any.
    ///
    /// Checks everything that [`Model::verify`] does, except the scratch memory and the overlap of tensors.
    ///
    /// # Errors
    /// The first thing that is wrong with the file.
    pub fn scratch_needs(bytes: &'m [u8], each: impl FnMut(usize, usize)) -> Result<(), VerifyError> {
        verify::scratch_needs(bytes, each)
    }

    /// Bytes of memory that a [`crate::Session`] needs: arena and state.
    pub fn memory_len(&self) -> usize {
        self.memory_len
    }

    /// Bytes of the arena: what lasts within a run.
    pub fn arena_len(&self) -> usize {
        self.pools_len(0)
    }

    /// Bytes of state: what outlives a run.
    pub fn state_len(&self) -> usize {
        self.pools_len(1)
    }

    fn pools_len(&self, kind: u8) -> usize {
        let lens = self.sections.pools.iter().filter(|p| p.kind == kind).filter_map(|p| usize::try_from(p.len).ok());
        lens.fold(0, usize::saturating_add)
    }

    /// Where the tensors of the state lie in the session's memory, and the byte with which they are filled at first: their zero
    /// point, which is 0 of elements of several bytes.
    pub(crate) fn states(&self) -> impl Iterator<Item = (Range<usize>, u8)> {
        let pool = |storage: u8| self.sections.pools.get(usize::from(storage).wrapping_sub(1));
        let is_state = move |storage: u8| pool(storage).is_some_and(|pool| pool.kind == 1);
        let tensors = self.sections.tensors.iter().enumerate().filter(move |(_, desc)| is_state(desc.storage));
        tensors.filter_map(|(index, desc)| {
            let tensor = self.tensor(index)?;
            let [zero, ..] = desc.zero_point.to_le_bytes();
            Some((tensor.offset..tensor.offset.checked_add(tensor.byte_len())?, zero))
        })
    }

    /// Bytes of the file.
    pub fn file_len(&self) -> usize {
        self.file_len
    }

    /// The file's CRC-32: names the model in logs.
    pub fn crc(&self) -> u32 {
        self.crc
    }

    /// Bytes of constants.
    pub fn weights_len(&self) -> usize {
        self.sections.weights.len()
    }

    /// Number of tensors.
    pub fn tensor_count(&self) -> usize {
        self.sections.tensors.len()
    }

    /// Tensor `index`.
    #[inline(never)]
    pub fn tensor(&self, index: usize) -> Option<Tensor<'m>> {
        let d = self.sections.tensors.get(index)?;
        let start = usize::try_from(d.shape_start).ok()?;
        let end = start.checked_add(usize::from(d.rank))?;
        let shape = self.sections.shapes.get(start..end)?;
        let mut len = 1_usize;
        for &dim in shape {
            len = len.checked_mul(usize::try_from(dim).ok()?)?;
        }
        let offset = usize::try_from(d.offset).ok()?;
        let (storage, offset) = match d.storage.checked_sub(1) {
            None => (Storage::Constant, offset),
            Some(pool) => (Storage::Pool(pool), self.pool_start.get(usize::from(pool))?.checked_add(offset)?),
        };
        let data_type = DataType::from_code(d.data_type)?;
        Some(Tensor {
            data_type,
            shape,
            zero_point: d.zero_point,
            scale: d.scale,
            storage,
            offset,
            len,
            first: d.first,
            last: d.last,
        })
    }

    /// Whether the caller writes tensor `index` before a run.
    pub fn is_input(&self, index: usize) -> bool {
        self.sections.tensors.get(index).is_some_and(|d| d.flags & FLAG_INPUT != 0)
    }

    /// The pool's kind: 0 arena, 1 state.
    pub fn pool_kind(&self, pool: u8) -> Option<u8> {
        self.sections.pools.get(usize::from(pool)).map(|p| p.kind)
    }

    /// The constant elements of `tensor`.
    pub fn constant<T: FromBytes + Immutable + KnownLayout>(&self, tensor: &Tensor<'_>) -> Option<&'m [T]> {
        <[T]>::ref_from_bytes(self.constant_bytes(tensor)?).ok()
    }

    /// [`Model::constant`], once for all types.
    #[inline(never)]
    fn constant_bytes(&self, tensor: &Tensor<'_>) -> Option<&'m [u8]> {
        if tensor.storage != Storage::Constant {
            return None;
        }
        let end = tensor.offset.checked_add(tensor.byte_len())?;
        self.sections.weights.get(tensor.offset..end)
    }

    /// Number of steps.
    pub fn step_count(&self) -> usize {
        self.sections.steps.len()
    }

    /// Step `index`.
    pub fn step(&self, index: usize) -> Option<StepView<'_>> {
        let desc = self.sections.steps.get(index)?;
        let op = self.ops.iter().find(|op| op.id == desc.op)?;
        let (inputs, outputs) = self.operands(index)?;
        let params_start = usize::try_from(desc.params_offset).ok()?;
        let params_end = params_start.checked_add(usize::try_from(desc.params_len).ok()?)?;
        Some(StepView {
            model: self,
            index,
            op,
            inputs,
            outputs,
            params: self.sections.params.get(params_start..params_end)?,
            scratch_offset: usize::try_from(desc.scratch_offset).ok()?,
            scratch_len: usize::try_from(desc.scratch_len).ok()?,
        })
    }

    /// Indices of the input and output tensors of step `index`, whatever its operator.
    pub(super) fn operands(&self, index: usize) -> Option<(&'m [u16], &'m [u16])> {
        let desc = self.sections.steps.get(index)?;
        let start = usize::try_from(desc.operand_start).ok()?;
        let count = usize::from(desc.inputs).checked_add(usize::from(desc.outputs))?;
        let operands = self.sections.operands.get(start..start.checked_add(count)?)?;
        operands.split_at_checked(desc.inputs.into())
    }

    /// All steps in order.
    pub fn steps(&self) -> impl Iterator<Item = StepView<'_>> {
        (0..self.step_count()).filter_map(|i| self.step(i))
    }

    /// Entry point `index`.
    pub fn entry(&self, index: usize) -> Option<Entry<'_>> {
        self.sections.entries.get(index).map(|desc| Entry { model: self, desc })
    }

    /// All entry points; a CNN has one, `main`.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.sections.entries.iter().map(|desc| Entry { model: self, desc })
    }

    /// The text at `at` in the strings section.
    pub(super) fn text(&self, at: StringRef) -> Option<&'m str> {
        let start = usize::try_from(at.offset).ok()?;
        let end = start.checked_add(usize::try_from(at.len).ok()?)?;
        core::str::from_utf8(self.sections.strings.get(start..end)?).ok()
    }

    /// The metadata in the order of the file.
    pub fn metadata(&self) -> impl Iterator<Item = (&'m str, &'m str)> + use<'m> {
        let model = *self;
        model.sections.metadata.iter().filter_map(move |d| Some((model.text(d.key)?, model.text(d.value)?)))
    }

    /// The metadata under `key`.
    pub fn metadata_value(&self, key: &str) -> Option<&'m str> {
        self.metadata().find_map(|(k, v)| (k == key).then_some(v))
    }

    /// The class labels, if the file has any: metadata `labels`, a line each.
    pub fn labels(&self) -> impl Iterator<Item = &'m str> + use<'m> {
        self.metadata_value("labels").unwrap_or("").lines()
    }

    /// The bytes of the tokenizer section, empty if there is none: see [`crate::lm::Tokenizer`].
    pub fn tokenizer_section(&self) -> &'m [u8] {
        self.sections.tokenizer
    }

    /// The debug name of step `index`, if the file has names.
    pub fn step_name(&self, index: usize) -> Option<&'m str> {
        self.text(*self.sections.step_names.get(index)?)
    }

    /// The debug name of tensor `index`, if the file has names.
    pub fn tensor_name(&self, index: usize) -> Option<&'m str> {
        self.text(*self.sections.tensor_names.get(index)?)
    }

    /// The embedded self-test, if there is one: the inputs of entry 0 one after another, and the CRC-32 of the
    /// output bytes of each of its steps.
    pub fn self_test(&self) -> Option<(&'m [u8], &'m [u32])> {
        let Sections { self_test_input, self_test_crcs, .. } = self.sections;
        (!self_test_crcs.is_empty()).then_some((self_test_input, self_test_crcs))
    }
}

/// One step of a model.
#[derive(Debug, Clone, Copy)]
pub struct StepView<'m> {
    pub(crate) model: &'m Model<'m>,
    /// Index in the model.
    pub index: usize,
    /// Its operator.
    pub op: &'static OpDef,
    /// Indices of the input tensors.
    pub inputs: &'m [u16],
    /// Indices of the output tensors.
    pub outputs: &'m [u16],
    /// Parameters of the operator.
    pub params: &'m [u8],
    /// Scratch memory, from the start of the session's memory.
    pub scratch_offset: usize,
    /// Bytes of scratch memory.
    pub scratch_len: usize,
}

impl<'m> StepView<'m> {
    /// Input operand `slot`.
    #[inline(never)]
    pub fn input(&self, slot: usize) -> Option<Tensor<'m>> {
        self.model.tensor(usize::from(*self.inputs.get(slot)?))
    }

    /// Output operand `slot`.
    #[inline(never)]
    pub fn output(&self, slot: usize) -> Option<Tensor<'m>> {
        self.model.tensor(usize::from(*self.outputs.get(slot)?))
    }

    /// The elements of input `slot`, if it is a constant of elements `T`.
    pub fn constant<T: FromBytes + Immutable + KnownLayout>(&self, slot: usize) -> Option<&'m [T]> {
        self.model.constant(&self.input(slot)?)
    }

    /// The parameters as the operator's struct.
    pub fn params<P: FromBytes + Immutable + KnownLayout + ?Sized>(&self) -> Option<&'m P> {
        P::ref_from_bytes(self.params).ok()
    }
}

/// An entry point of a model.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'m> {
    model: &'m Model<'m>,
    pub(super) desc: &'m EntryDesc,
}

impl<'m> Entry<'m> {
    /// Its name.
    pub fn name(&self) -> &'m str {
        self.model.text(self.desc.name).unwrap_or("")
    }

    /// Indices of its steps.
    pub fn steps(&self) -> core::ops::Range<usize> {
        let start = usize::try_from(self.desc.step_start).unwrap_or(0);
        start..start.saturating_add(usize::try_from(self.desc.step_count).unwrap_or(0))
    }

    fn ports(&self, skip: u16, count: u16) -> impl Iterator<Item = Port<'m>> + use<'m> {
        let model = self.model;
        let start = usize::try_from(self.desc.port_start).unwrap_or(0).saturating_add(skip.into());
        let ports = model.sections.ports.get(start..start.saturating_add(count.into())).unwrap_or(&[]);
        ports.iter().map(move |desc| Port { model, desc })
    }

    /// Its inputs.
    pub fn inputs(&self) -> impl Iterator<Item = Port<'m>> + use<'m> {
        self.ports(0, self.desc.inputs)
    }

    /// Its outputs.
    pub fn outputs(&self) -> impl Iterator<Item = Port<'m>> + use<'m> {
        self.ports(self.desc.inputs, self.desc.outputs)
    }
}

/// An input or output of an entry.
#[derive(Debug, Clone, Copy)]
pub struct Port<'m> {
    model: &'m Model<'m>,
    desc: &'m PortDesc,
}

impl<'m> Port<'m> {
    /// The name in the source model.
    pub fn name(&self) -> &'m str {
        self.model.text(self.desc.name).unwrap_or("")
    }

    /// Index of the tensor.
    pub fn tensor_index(&self) -> usize {
        self.desc.tensor.into()
    }

    /// The tensor.
    pub fn tensor(&self) -> Option<Tensor<'m>> {
        self.model.tensor(self.tensor_index())
    }

    /// Axis i of the tensor is axis `perm[i]` of the source model's tensor; empty if the layouts are the same.
    pub fn perm(&self) -> &'m [u8] {
        self.desc.perm.get(..usize::from(self.desc.perm_rank)).unwrap_or(&[])
    }
}

/// `len` rounded up to [`ALIGNMENT`].
pub(super) fn align_up(len: usize) -> Option<usize> {
    len.checked_next_multiple_of(ALIGNMENT)
}
