//! Lays a lowered program out as the bytes of a `.teff` file: plan, tables, constants, self-test.

mod builder;

use anyhow::{Context, Result, ensure};
use teff::format::layout::{
    EntryDesc, FLAG_INPUT, MAX_RANK, MetadataDesc, PoolDesc, PortDesc, StepDesc, TensorDesc, section,
};
use teff::{Model, Session};

use crate::aligned::AlignedBytes;
use crate::plan::{ALIGNMENT, Plan, plan, plan_with_wishes};
use crate::program::{Content, PortSpec, Program};
use builder::{FileBuilder, Strings, size};

/// What goes into the file beside the program.
#[derive(Debug, Clone, Default)]
pub struct Extras {
    /// Keys and values.
    pub metadata: Vec<(String, String)>,
    /// Whether steps and tensors keep their names.
    pub debug_names: bool,
    /// The bytes of all inputs of the embedded self-test, one after another; none: no self-test.
    pub self_test_input: Option<Vec<u8>>,
    /// Further sections: kind and bytes.
    pub sections: Vec<(u16, Vec<u8>)>,
}

/// A file and the plan of its memory.
pub struct Emitted {
    /// The verified file.
    pub file: AlignedBytes,
    /// Where its tensors lie.
    pub plan: Plan,
}

/// The scratch memory that each step needs.
///
/// # Errors
/// As [`emit`].
pub fn scratch_needs(program: &Program) -> Result<Vec<usize>> {
    ensure!(!program.steps.is_empty(), "the model computes nothing: its outputs are its inputs or constants");
    let mut lens = vec![0; program.steps.len()];
    // The operators say it, once they see the shapes.
    let draft = layout(program, &plan(program, &lens), &Extras::default(), None)?;
    Model::scratch_needs(&draft, |step, need| lens[step] = need).map_err(|e| blame(program, e))?;
    Ok(lens)
}

/// Plans, lays out, verifies, and runs the self-test's input for its CRCs.
///
/// # Errors
/// If the program is not one that the runtime accepts: a fault of the converter, reported with the step's name.
pub fn emit(program: &Program, extras: &Extras) -> Result<Emitted> {
    let plan = plan_with_wishes(program, &scratch_needs(program)?, None);
    emit_planned(program, plan, extras)
}

/// [`emit`] with a plan that is there already.
///
/// # Errors
/// As [`emit`].
pub fn emit_planned(program: &Program, plan: Plan, extras: &Extras) -> Result<Emitted> {
    let plain = Extras { self_test_input: None, ..extras.clone() };
    let mut file = layout(program, &plan, &plain, None)?;
    let model = Model::verify(&file).map_err(|e| blame(program, e))?;
    if let Some(input) = &extras.self_test_input {
        let crcs = self_test_crcs(&model, input)?;
        file = layout(program, &plan, extras, Some(&crcs))?;
        let model = Model::verify(&file).map_err(|e| blame(program, e))?;
        let mut memory = AlignedBytes::zeroed(model.memory_len());
        Session::new(&model, &mut memory)?.self_test()?;
    }
    Ok(Emitted { file, plan })
}

/// Names the node behind a verification error of our own file.
fn blame(program: &Program, error: teff::VerifyError) -> anyhow::Error {
    use teff::VerifyError::{OverlappingScratch, Step, UnknownOp};
    let node = match error {
        Step { step, .. } | UnknownOp { step, .. } | OverlappingScratch { step, .. } => {
            program.steps.get(usize::from(step)).map(|s| format!("node {} ({}): ", s.name, s.op.name))
        }
        _ => None,
    };
    anyhow::anyhow!("{}the converted model does not verify: {error}", node.unwrap_or_default())
}

/// Runs the model on `input` and takes the CRC of each step's outputs.
fn self_test_crcs(model: &Model<'_>, input: &[u8]) -> Result<Vec<u32>> {
    let entry = model.entry(0).context("no entry point")?;
    let mut memory = AlignedBytes::zeroed(model.memory_len());
    let mut session = Session::new(model, &mut memory)?;
    let mut rest = input;
    for index in 0..entry.inputs().count() {
        let to = session.input(index)?;
        let (from, tail) = rest.split_at_checked(to.len()).context("the self-test's input is too short")?;
        to.copy_from_slice(from);
        rest = tail;
    }
    entry.steps().map(|i| session.run_step(i).map(|step| session.outputs_crc(&step)).map_err(Into::into)).collect()
}

/// The bytes of the file.
fn layout(program: &Program, plan: &Plan, extras: &Extras, self_test: Option<&[u32]>) -> Result<AlignedBytes> {
    let order = tensor_order(program, plan);
    let mut index_of = vec![0_u16; order.len()];
    for (index, &t) in order.iter().enumerate() {
        index_of[t] = u16::try_from(index).context("too many tensors")?;
    }
    let mut strings = Strings::default();
    let (tensors, shapes, weights) = tensor_tables(program, plan, &order)?;
    let mut operands: Vec<u16> = Vec::new();
    let mut params: Vec<u8> = Vec::new();
    let mut steps = Vec::new();
    for (i, step) in program.steps.iter().enumerate() {
        steps.push(StepDesc {
            op: step.op.id,
            inputs: step.inputs.len().try_into().with_context(|| format!("{}: too many inputs", step.name))?,
            outputs: step.outputs.len().try_into().with_context(|| format!("{}: too many outputs", step.name))?,
            operand_start: size(operands.len())?,
            params_offset: size(params.len())?,
            params_len: size(step.params.len())?,
            scratch_offset: size(plan.scratch_offsets[i])?,
            scratch_len: size(plan.scratch_lens[i])?,
        });
        operands.extend(step.inputs.iter().chain(&step.outputs).map(|t| index_of[t.0]));
        params.extend(&step.params);
        params.resize(params.len().next_multiple_of(4), 0);
    }
    let port = |strings: &mut Strings, p: &PortSpec| -> Result<PortDesc> {
        let mut perm = [0; MAX_RANK];
        let axes = p.perm.as_deref().unwrap_or_default();
        for (to, &axis) in perm.iter_mut().zip(axes) {
            *to = u8::try_from(axis)?;
        }
        let perm_rank = u16::try_from(axes.len())?;
        Ok(PortDesc { tensor: index_of[p.tensor.0], perm_rank, name: strings.add(&p.name)?, perm })
    };
    let (mut ports, mut entries) = (Vec::new(), Vec::new());
    for entry in program.entries() {
        let port_start = size(ports.len())?;
        for spec in entry.inputs.iter().chain(entry.outputs) {
            ports.push(port(&mut strings, spec)?);
        }
        entries.push(EntryDesc {
            name: strings.add(entry.name)?,
            step_start: size(entry.steps.start)?,
            step_count: size(entry.steps.len())?,
            port_start,
            inputs: entry.inputs.len().try_into().context("too many inputs")?,
            outputs: entry.outputs.len().try_into().context("too many outputs")?,
        });
    }
    let mut pools = vec![PoolDesc { kind: 0, reserved: [0; 3], len: size(plan.arena_len)? }];
    if plan.state_len > 0 {
        pools.push(PoolDesc { kind: 1, reserved: [0; 3], len: size(plan.state_len)? });
    }
    let text = |strings: &mut Strings, (key, value): &(String, String)| -> Result<MetadataDesc> {
        Ok(MetadataDesc { key: strings.add(key)?, value: strings.add(value)? })
    };
    let metadata = extras.metadata.iter().map(|m| text(&mut strings, m)).collect::<Result<Vec<_>>>()?;

    let mut file = FileBuilder::default();
    file.section(section::POOLS, &pools);
    file.section(section::SHAPES, &shapes);
    file.section(section::TENSORS, &tensors);
    file.section(section::OPERANDS, &operands);
    file.section(section::STEPS, &steps);
    file.section(section::PARAMS, &params);
    file.section(section::PORTS, &ports);
    file.section(section::ENTRIES, &entries);
    if !metadata.is_empty() {
        file.section(section::METADATA, &metadata);
    }
    if let (Some(crcs), Some(input)) = (self_test, &extras.self_test_input) {
        file.section(section::SELF_TEST_INPUT, input);
        file.section(section::SELF_TEST_CRCS, crcs);
    }
    for (kind, bytes) in &extras.sections {
        file.section(*kind, bytes);
    }
    if extras.debug_names {
        let names = program.steps.iter().map(|s| strings.add(&s.name)).collect::<Result<Vec<_>>>()?;
        file.section(section::STEP_NAMES, &names);
        let names = order.iter().map(|&t| strings.add(&program.tensors[t].name)).collect::<Result<Vec<_>>>()?;
        file.section(section::TENSOR_NAMES, &names);
    }
    file.section(section::STRINGS, strings.bytes());
    file.section(section::WEIGHTS, &weights);
    Ok(AlignedBytes::from(file.finish()?.as_slice()))
}

/// Arena tensors must come in the order of their first step; constants come first.
fn tensor_order(program: &Program, plan: &Plan) -> Vec<usize> {
    let mut order: Vec<usize> = (0..program.tensors.len()).collect();
    order.sort_by_key(|&t| (program.tensors[t].content == Content::Arena, plan.lifetimes[t].first));
    order
}

/// The tensors section, the shapes that it points into, and the constants, equal ones stored once.
fn tensor_tables(program: &Program, plan: &Plan, order: &[usize]) -> Result<(Vec<TensorDesc>, Vec<u32>, Vec<u8>)> {
    let mut shapes: Vec<u32> = Vec::new();
    let mut weights: Vec<u8> = Vec::new();
    let mut known_shapes = std::collections::HashMap::new();
    let mut known_constants: std::collections::HashMap<&[u8], usize> = std::collections::HashMap::new();
    let is_input = |t: usize| program.inputs.iter().any(|p| p.tensor.0 == t);
    let step = |n: usize| u16::try_from(n).context("too many steps");
    let mut descs = Vec::new();
    for &t in order {
        let tensor = &program.tensors[t];
        let rank = u8::try_from(tensor.shape.len())?;
        ensure!(usize::from(rank) <= MAX_RANK, "tensor {}: more than {MAX_RANK} axes", tensor.name);
        let shape_start = match known_shapes.get(&tensor.shape) {
            Some(&start) => start,
            None => {
                let start = size(shapes.len())?;
                for &dim in &tensor.shape {
                    shapes.push(size(dim)?);
                }
                known_shapes.insert(tensor.shape.clone(), start);
                start
            }
        };
        let offset = match &tensor.content {
            Content::Constant(bytes) => *known_constants.entry(bytes).or_insert_with(|| {
                weights.resize(weights.len().next_multiple_of(ALIGNMENT), 0);
                weights.extend(bytes);
                weights.len() - bytes.len()
            }),
            Content::Arena | Content::State => plan.offsets[t],
        };
        let flag = if is_input(t) { FLAG_INPUT } else { 0 };
        descs.push(TensorDesc {
            data_type: tensor.quant.data_type.code(),
            rank,
            storage: match tensor.content {
                Content::Constant(_) => 0,
                Content::Arena => 1,
                Content::State => 2,
            },
            flags: flag,
            shape_start,
            offset: size(offset)?,
            zero_point: tensor.quant.zero_point,
            scale: tensor.quant.scale,
            first: step(plan.lifetimes[t].first)?,
            last: step(plan.lifetimes[t].last)?,
        });
    }
    Ok((descs, shapes, weights))
}
