//! The one pass that proves a file safe to run.
//!
//! Order matters: each check relies on those before it. Time is bounded by the file's length, plus the number of
//! pairs of arena tensors that live at the same time (at most [`MAX_TENSORS`]² / 2).

use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::error::{OpIssue, PortIssue, SectionIssue, TensorIssue, VerifyError};
use super::layout::{
    ALIGNMENT, CRC_OFFSET, FLAG_INPUT, Header, MAGIC, MAJOR, MAX_POOLS, MAX_RANK, MAX_TENSORS, SectionDesc, StringRef,
    TensorDesc, section,
};
use super::model::{Entry, Model, Sections, StepView, align_up};
use super::tensor::{DataType, Storage, Tensor};
use crate::checksum::Crc32;
use crate::ops::OpDef;

type Result<T> = core::result::Result<T, VerifyError>;

pub(super) fn verify<'m>(bytes: &'m [u8], ops: &'static [&'static OpDef]) -> Result<Model<'m>> {
    let model = tables(bytes, ops)?;
    steps(&model, |step, need| scratch_fits(&model, step, need))?;
    overlaps(&model)?;
    self_test(&model)?;
    Ok(model)
}

/// See [`Model::embedded`].
pub(super) fn embedded<'m>(bytes: &'m [u8], ops: &'static [&'static OpDef]) -> Result<Model<'m>> {
    let (header, bytes) = file(bytes)?;
    memory(header, bytes, ops)
}

/// See [`Model::scratch_needs`].
pub(super) fn scratch_needs(bytes: &[u8], mut each: impl FnMut(usize, usize)) -> Result<()> {
    steps(&tables(bytes, crate::ops::ALL)?, |step, need| {
        each(step.index, need);
        Ok(())
    })
}

/// Everything but the steps.
fn tables<'m>(bytes: &'m [u8], ops: &'static [&'static OpDef]) -> Result<Model<'m>> {
    let (header, bytes) = file(bytes)?;
    let model = memory(header, bytes, ops)?;
    texts(&model)?;
    tensors(&model)?;
    entries(&model)?;
    Ok(model)
}

/// The sections, and the memory that the pools need.
fn memory<'m>(header: &Header, file: &'m [u8], ops: &'static [&'static OpDef]) -> Result<Model<'m>> {
    let sections = sections(header, file)?;
    let mut model =
        Model { sections, ops, pool_start: [0; MAX_POOLS], memory_len: 0, file_len: file.len(), crc: header.crc };
    pools(&mut model)?;
    Ok(model)
}

/// Header, length and CRC.
fn file(bytes: &[u8]) -> Result<(&Header, &[u8])> {
    if !bytes.as_ptr().addr().is_multiple_of(ALIGNMENT) {
        return Err(VerifyError::Misaligned);
    }
    let found = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    match bytes.get(..MAGIC.len()) {
        Some(magic) if magic == MAGIC => {}
        Some(_) => return Err(VerifyError::BadMagic),
        None => return Err(VerifyError::Truncated { needed: HEADER_LEN, found }),
    }
    let Ok((header, _)) = Header::ref_from_prefix(bytes) else {
        return Err(VerifyError::Truncated { needed: HEADER_LEN, found });
    };
    if header.major != MAJOR {
        return Err(VerifyError::Version { major: header.major, minor: header.minor });
    }
    let needed = header.file_len.max(HEADER_LEN);
    let file = usize::try_from(needed).ok().and_then(|len| bytes.get(..len));
    let Some(file) = file else { return Err(VerifyError::Truncated { needed, found }) };
    let mut crc = Crc32::new();
    crc.update(file.get(..CRC_OFFSET).unwrap_or(&[]));
    crc.update(file.get(CRC_OFFSET.saturating_add(size_of::<u32>())..).unwrap_or(&[]));
    let computed = crc.finish();
    if computed != header.crc {
        return Err(VerifyError::Checksum { stored: header.crc, computed });
    }
    Ok((header, file))
}

#[allow(clippy::as_conversions, reason = "a constant of 32")]
const HEADER_LEN: u32 = size_of::<Header>() as u32;

/// The section table and the sections as typed slices.
fn sections<'m>(header: &Header, file: &'m [u8]) -> Result<Sections<'m>> {
    let table = |issue| VerifyError::Section { kind: 0, issue };
    let after = file.get(size_of::<Header>()..).unwrap_or(&[]);
    let (descs, _) = <[SectionDesc]>::ref_from_prefix_with_elems(after, header.section_count.into())
        .map_err(|_| table(SectionIssue::OutOfFile))?;
    let bytes = |kind: u16, required: bool| -> Result<&'m [u8]> {
        let error = |issue| VerifyError::Section { kind, issue };
        let mut of_kind = descs.iter().filter(|d| d.kind == kind);
        let desc = match (of_kind.next(), of_kind.next()) {
            (Some(desc), None) => desc,
            (Some(_), Some(_)) => return Err(error(SectionIssue::Duplicate)),
            (None, _) if required => return Err(error(SectionIssue::Missing)),
            // Nothing, but aligned like a section: the file is.
            (None, _) => return Ok(file.get(..0).unwrap_or(&[])),
        };
        let start = usize::try_from(desc.offset).map_err(|_| error(SectionIssue::OutOfFile))?;
        let len = usize::try_from(desc.len).map_err(|_| error(SectionIssue::OutOfFile))?;
        if !start.is_multiple_of(ALIGNMENT) {
            return Err(error(SectionIssue::Misaligned));
        }
        let end = start.checked_add(len).ok_or(error(SectionIssue::OutOfFile))?;
        file.get(start..end).ok_or(error(SectionIssue::OutOfFile))
    };
    fn typed<T: FromBytes + Immutable + KnownLayout>(kind: u16, bytes: &[u8]) -> Result<&[T]> {
        <[T]>::ref_from_bytes(bytes).map_err(|_| VerifyError::Section { kind, issue: SectionIssue::Length })
    }
    Ok(Sections {
        pools: typed(section::POOLS, bytes(section::POOLS, true)?)?,
        shapes: typed(section::SHAPES, bytes(section::SHAPES, true)?)?,
        tensors: typed(section::TENSORS, bytes(section::TENSORS, true)?)?,
        operands: typed(section::OPERANDS, bytes(section::OPERANDS, true)?)?,
        steps: typed(section::STEPS, bytes(section::STEPS, true)?)?,
        params: bytes(section::PARAMS, true)?,
        ports: typed(section::PORTS, bytes(section::PORTS, true)?)?,
        entries: typed(section::ENTRIES, bytes(section::ENTRIES, true)?)?,
        weights: bytes(section::WEIGHTS, true)?,
        strings: bytes(section::STRINGS, true)?,
        metadata: typed(section::METADATA, bytes(section::METADATA, false)?)?,
        self_test_input: bytes(section::SELF_TEST_INPUT, false)?,
        self_test_crcs: typed(section::SELF_TEST_CRCS, bytes(section::SELF_TEST_CRCS, false)?)?,
        step_names: typed(section::STEP_NAMES, bytes(section::STEP_NAMES, false)?)?,
        tokenizer: bytes(section::TOKENIZER, false)?,
        tensor_names: typed(section::TENSOR_NAMES, bytes(section::TENSOR_NAMES, false)?)?,
    })
}

/// Pool 0 is the arena; pools lie one after another in the session's memory.
fn pools(model: &mut Model<'_>) -> Result<()> {
    let pools = model.sections.pools;
    if pools.is_empty() || pools.len() > MAX_POOLS {
        return Err(VerifyError::Section { kind: section::POOLS, issue: SectionIssue::Length });
    }
    for ((index, pool), start) in (0..).zip(pools).zip(&mut model.pool_start) {
        let error = VerifyError::Pool { index };
        let known = pool.kind == 0 || (pool.kind == 1 && index > 0);
        let len = usize::try_from(pool.len).map_err(|_| error)?;
        if !known || align_up(len) != Some(len) {
            return Err(error);
        }
        *start = model.memory_len;
        // Below 2^31, so that no offset overflows on a 32-bit target.
        model.memory_len =
            model.memory_len.checked_add(len).filter(|&total| i32::try_from(total).is_ok()).ok_or(error)?;
    }
    Ok(())
}

/// Names and metadata are UTF-8 within the strings section.
fn texts(model: &Model<'_>) -> Result<()> {
    let sections = &model.sections;
    let check = |kind: u16, at: StringRef| match model.text(at) {
        Some(_) => Ok(()),
        None => Err(VerifyError::Section { kind, issue: SectionIssue::Text }),
    };
    let count = |kind: u16, len: usize, want: usize| match len == 0 || len == want {
        true => Ok(()),
        false => Err(VerifyError::Section { kind, issue: SectionIssue::Length }),
    };
    count(section::STEP_NAMES, sections.step_names.len(), sections.steps.len())?;
    count(section::TENSOR_NAMES, sections.tensor_names.len(), sections.tensors.len())?;
    sections.metadata.iter().try_for_each(|d| {
        check(section::METADATA, d.key)?;
        check(section::METADATA, d.value)
    })?;
    sections.step_names.iter().try_for_each(|&at| check(section::STEP_NAMES, at))?;
    sections.tensor_names.iter().try_for_each(|&at| check(section::TENSOR_NAMES, at))?;
    sections.ports.iter().try_for_each(|d| check(section::PORTS, d.name))?;
    sections.entries.iter().try_for_each(|d| check(section::ENTRIES, d.name))
}

/// Each tensor by itself.
fn tensors(model: &Model<'_>) -> Result<()> {
    let tensors = model.sections.tensors;
    if tensors.len() > MAX_TENSORS {
        return Err(VerifyError::Section { kind: section::TENSORS, issue: SectionIssue::Length });
    }
    let mut first = 0;
    for (index, desc) in (0..).zip(tensors) {
        let error = |issue| VerifyError::Tensor { index, issue };
        tensor(model, desc).map_err(error)?;
        if is_arena(model, desc.storage) {
            if desc.first < first {
                return Err(error(TensorIssue::Order));
            }
            first = desc.first;
        }
    }
    Ok(())
}

fn is_arena(model: &Model<'_>, storage: u8) -> bool {
    storage.checked_sub(1).and_then(|pool| model.pool_kind(pool)) == Some(0)
}

fn tensor(model: &Model<'_>, desc: &TensorDesc) -> core::result::Result<(), TensorIssue> {
    let data_type = DataType::from_code(desc.data_type).ok_or(TensorIssue::DataType)?;
    let shape_start = usize::try_from(desc.shape_start).map_err(|_| TensorIssue::Shape)?;
    let shape_end = shape_start.checked_add(desc.rank.into()).ok_or(TensorIssue::Shape)?;
    let shape = model.sections.shapes.get(shape_start..shape_end).ok_or(TensorIssue::Shape)?;
    if shape.len() > MAX_RANK {
        return Err(TensorIssue::Shape);
    }
    let mut len = 1_u32;
    for &dim in shape {
        len = len.checked_mul(dim).filter(|&len| len > 0).ok_or(TensorIssue::Shape)?;
    }
    let size = u32::try_from(data_type.size()).map_err(|_| TensorIssue::Shape)?;
    let byte_len = len.checked_mul(size).filter(|&n| i32::try_from(n).is_ok()).ok_or(TensorIssue::Shape)?;
    let region = match desc.storage.checked_sub(1) {
        None => u32::try_from(model.sections.weights.len()).map_err(|_| TensorIssue::OutOfBounds)?,
        Some(pool) => model.sections.pools.get(usize::from(pool)).ok_or(TensorIssue::Storage)?.len,
    };
    if desc.offset.checked_add(byte_len).is_none_or(|end| end > region) {
        return Err(TensorIssue::OutOfBounds);
    }
    let alignment = if desc.storage == 0 { u32::try_from(ALIGNMENT).unwrap_or(1) } else { size };
    if !desc.offset.is_multiple_of(alignment) {
        return Err(TensorIssue::Misaligned);
    }
    if !data_type.admits_zero_point(desc.zero_point) {
        return Err(TensorIssue::ZeroPoint);
    }
    if !(desc.scale.is_finite() && desc.scale > 0.0) {
        return Err(TensorIssue::Scale);
    }
    if is_arena(model, desc.storage) && (desc.first > desc.last || usize::from(desc.last) >= model.sections.steps.len())
    {
        return Err(TensorIssue::Lifetime);
    }
    Ok(())
}

/// Entries cover the steps in order, without gap or overlap; their ports are as they must be.
fn entries(model: &Model<'_>) -> Result<()> {
    if model.sections.entries.is_empty() {
        return Err(VerifyError::Section { kind: section::ENTRIES, issue: SectionIssue::Length });
    }
    if model.sections.steps.len() > usize::from(u16::MAX) {
        return Err(VerifyError::Section { kind: section::STEPS, issue: SectionIssue::Length });
    }
    let mut next_step = 0;
    let mut next_port = 0;
    for (index, entry) in (0..).zip(model.entries()) {
        let error = VerifyError::Entry { index };
        let steps = entry.steps();
        let port_start = usize::try_from(entry.desc.port_start).map_err(|_| error)?;
        if steps.start != next_step || steps.is_empty() || steps.end > model.step_count() || port_start != next_port {
            return Err(error);
        }
        next_step = steps.end;
        let port_count = usize::from(entry.desc.inputs).saturating_add(entry.desc.outputs.into());
        next_port = port_start.checked_add(port_count).ok_or(error)?;
        if entry.inputs().count().saturating_add(entry.outputs().count()) != port_count {
            return Err(error);
        }
        ports(model, &entry)?;
    }
    if next_step != model.step_count() {
        return Err(VerifyError::Section { kind: section::ENTRIES, issue: SectionIssue::Length });
    }
    if next_port != model.sections.ports.len() {
        return Err(VerifyError::Section { kind: section::PORTS, issue: SectionIssue::Length });
    }
    // An input that belongs to no entry would never be written.
    for (index, desc) in (0..).zip(model.sections.tensors) {
        let named = || {
            let mut inputs = model.entries().flat_map(|e| e.inputs());
            inputs.any(|p| p.tensor_index() == usize::from(index))
        };
        if desc.flags & FLAG_INPUT != 0 && !named() {
            return Err(VerifyError::Tensor { index, issue: TensorIssue::Lifetime });
        }
    }
    Ok(())
}

fn ports(model: &Model<'_>, entry: &Entry<'_>) -> Result<()> {
    let steps = entry.steps();
    let last_step = steps.end.saturating_sub(1);
    let inputs = entry.inputs().map(|p| (true, p));
    let outputs = entry.outputs().map(|p| (false, p));
    let start = u16::try_from(entry.desc.port_start).unwrap_or(u16::MAX);
    for (index, (is_input, port)) in (start..).zip(inputs.chain(outputs)) {
        let error = |issue| VerifyError::Port { index, issue };
        let tensor = port.tensor().ok_or(error(PortIssue::Tensor))?;
        let Storage::Pool(pool) = tensor.storage else { return Err(error(PortIssue::Tensor)) };
        if model.pool_kind(pool) == Some(0) {
            if is_input && !(model.is_input(port.tensor_index()) && usize::from(tensor.first) == steps.start) {
                return Err(error(PortIssue::Input));
            }
            if !is_input {
                // An output that no step writes and that is no input would hold nothing.
                let index = port.tensor_index();
                let written = steps.contains(&usize::from(tensor.first))
                    && (model.is_input(index) || writes(model, &tensor, index));
                if !written || usize::from(tensor.last) != last_step {
                    return Err(error(PortIssue::Output));
                }
            }
        }
        let perm = port.perm();
        let rank = perm.len();
        let all_axes = (0..rank).all(|axis| perm.iter().any(|&p| usize::from(p) == axis));
        let declared: usize = model.sections.ports.get(usize::from(index)).map_or(0, |d| d.perm_rank.into());
        if rank != declared || !(rank == 0 || (rank == tensor.shape.len() && all_axes)) {
            return Err(error(PortIssue::Permutation));
        }
    }
    Ok(())
}

/// Whether the step `tensor.first` has tensor `index` among its outputs.
fn writes(model: &Model<'_>, tensor: &Tensor<'_>, index: usize) -> bool {
    let operands = model.operands(tensor.first.into());
    operands.is_some_and(|(_, outputs)| outputs.iter().any(|&o| usize::from(o) == index))
}

/// Each step: its operands hold values, and its operator accepts them; `scratch` is asked about the bytes of scratch
/// memory that it needs.
fn steps(
    model: &Model<'_>,
    mut scratch: impl FnMut(&StepView<'_>, usize) -> core::result::Result<(), OpIssue>,
) -> Result<()> {
    for entry in model.entries() {
        for index in entry.steps() {
            let number = u16::try_from(index).unwrap_or(u16::MAX);
            let op = model.sections.steps.get(index).map_or(0, |d| d.op);
            let Some(proof) = model.ops.iter().find(|def| def.id == op).and_then(|def| def.proof) else {
                return Err(VerifyError::UnknownOp { step: number, op });
            };
            let error = |issue| VerifyError::Step { step: number, op, issue };
            let step = model.step(index).ok_or(error(OpIssue::Operands))?;
            operands(model, &entry, &step).map_err(error)?;
            let need = (proof.check)(&step).map_err(error)?;
            scratch(&step, need).map_err(error)?;
        }
    }
    Ok(())
}

fn operands(model: &Model<'_>, entry: &Entry<'_>, step: &StepView<'_>) -> core::result::Result<(), OpIssue> {
    for &index in step.inputs {
        let tensor = model.tensor(index.into()).ok_or(OpIssue::Operands)?;
        let Storage::Pool(pool) = tensor.storage else { continue };
        if model.pool_kind(pool) != Some(0) {
            continue;
        }
        let first = usize::from(tensor.first);
        let written = match model.is_input(index.into()) {
            true => first == entry.steps().start,
            false => first < step.index && entry.steps().contains(&first) && writes(model, &tensor, index.into()),
        };
        if !written || usize::from(tensor.last) < step.index {
            return Err(OpIssue::ReadBeforeWrite);
        }
    }
    for (slot, &index) in step.outputs.iter().enumerate() {
        let tensor = model.tensor(index.into()).ok_or(OpIssue::Operands)?;
        let Storage::Pool(pool) = tensor.storage else { return Err(OpIssue::Write) };
        let twice = step.outputs.iter().take(slot).any(|&other| other == index);
        let arena = model.pool_kind(pool) == Some(0);
        // A state tensor may be read and written by one step only where the operator works in place.
        let mut read_by = (0_u8..).zip(step.inputs).filter(|(_, input)| **input == index);
        if !arena && read_by.any(|(slot, _)| !step.op.in_place().contains(&slot)) {
            return Err(OpIssue::Write);
        }
        if twice || (arena && (usize::from(tensor.first) != step.index || model.is_input(index.into()))) {
            return Err(OpIssue::Write);
        }
    }
    Ok(())
}

fn scratch_fits(model: &Model<'_>, step: &StepView<'_>, need: usize) -> core::result::Result<(), OpIssue> {
    let end = step.scratch_offset.checked_add(step.scratch_len).ok_or(OpIssue::Scratch)?;
    let arena = model.sections.pools.first().and_then(|p| usize::try_from(p.len).ok()).unwrap_or(0);
    let aligned = step.scratch_offset.is_multiple_of(ALIGNMENT);
    if step.scratch_len < need || end > arena || !aligned {
        return Err(OpIssue::Scratch);
    }
    Ok(())
}

/// No two tensors that hold values at the same time share memory, but for an input and the output that replaces it
/// in place; scratch memory is apart from all of them.
fn overlaps(model: &Model<'_>) -> Result<()> {
    let tensors = || (0..).zip(model.sections.tensors).filter(|(_, d)| d.storage != 0);
    for (a, desc) in tensors() {
        let Some(x) = model.tensor(a.into()) else { continue };
        let state = !is_arena(model, desc.storage);
        for (b, other) in tensors().skip_while(|&(b, _)| b <= a) {
            let both_arena = !state && is_arena(model, other.storage);
            if both_arena && other.first > desc.last {
                // Arena tensors come in the order of `first`: no later one lives with `a`. State tensors may follow,
                // but no two pools share memory.
                break;
            }
            let Some(y) = model.tensor(b.into()) else { continue };
            let at_once = !both_arena || x.lives_with(&y);
            if at_once && x.shares_memory(&y) && !(both_arena && replaces(model, (a, &x), (b, &y))) {
                return Err(VerifyError::OverlappingTensors { a, b });
            }
        }
    }
    for (number, step) in (0..).zip(model.steps()) {
        if step.scratch_len == 0 {
            continue;
        }
        let end = step.scratch_offset.saturating_add(step.scratch_len);
        for (index, desc) in tensors() {
            if !is_arena(model, desc.storage) {
                continue;
            }
            if desc.first > number {
                break;
            }
            let Some(t) = model.tensor(index.into()) else { continue };
            let apart = t.offset >= end || step.scratch_offset >= t.offset.saturating_add(t.byte_len());
            if t.last >= number && !apart {
                return Err(VerifyError::OverlappingScratch { step: number, tensor: index });
            }
        }
    }
    Ok(())
}

/// Whether `y` is the output that takes the very place of `x`, which its step reads for the last time, or overlaps it as
/// the operator allows.
fn replaces(model: &Model<'_>, (a, x): (u16, &Tensor<'_>), (b, y): (u16, &Tensor<'_>)) -> bool {
    let Some(step) = model.step(y.first.into()) else { return false };
    // The caller reads an output after the last step: nothing may take its place.
    let is_output = model.entries().flat_map(|e| e.outputs()).any(|p| p.tensor_index() == usize::from(a));
    let in_place = || {
        let mut slots = step.op.in_place().iter();
        let allowed = slots.any(|&slot| step.inputs.get(usize::from(slot)) == Some(&a));
        allowed && x.offset == y.offset && x.byte_len() == y.byte_len()
    };
    let overlaps = || {
        let distance = step.op.proof.and_then(|proof| (proof.overlap)(&step));
        let apart = distance.and_then(|distance| y.offset.checked_add(distance));
        let read_once = step.inputs.iter().filter(|&&input| input == a).count() == 1;
        read_once && step.inputs.first() == Some(&a) && apart.is_some_and(|start| start <= x.offset)
    };
    x.last == y.first
        && !is_output
        && !model.is_input(b.into())
        && step.outputs.first() == Some(&b)
        && (in_place() || overlaps())
}

/// The self-test's input fills the inputs of entry 0, and there is a CRC for each of its steps.
fn self_test(model: &Model<'_>) -> Result<()> {
    let Some((input, crcs)) = model.self_test() else {
        return match model.sections.self_test_input {
            [] => Ok(()),
            _ => Err(VerifyError::Section { kind: section::SELF_TEST_CRCS, issue: SectionIssue::Missing }),
        };
    };
    let Some(entry) = model.entry(0) else { return Ok(()) };
    let len = entry.inputs().filter_map(|p| p.tensor()).fold(0_usize, |sum, t| sum.saturating_add(t.byte_len()));
    if input.len() != len {
        return Err(VerifyError::Section { kind: section::SELF_TEST_INPUT, issue: SectionIssue::Length });
    }
    if crcs.len() != entry.steps().len() {
        return Err(VerifyError::Section { kind: section::SELF_TEST_CRCS, issue: SectionIssue::Length });
    }
    Ok(())
}
