//! `Model::verify`: every fault has its own error, and no damaged file does harm.

use proptest::prelude::*;
use teff::format::layout::{EntryDesc, MetadataDesc, PoolDesc, PortDesc, SectionDesc, StepDesc, TensorDesc, section};
use teff::format::{DataType, OpIssue, PortIssue, SectionIssue, TensorIssue};
use teff::ops::{ADD, CONV2D, CONV2D_DENSE, TABLE, conv2d};
use teff::{Model, Session, VerifyError};
use teff_tests::surgery::Patient;
use teff_tools::aligned::AlignedBytes;
use teff_tools::emit::{Extras, emit};
use teff_tools::program::{Content, PortSpec, Program, StepSpec, TensorId, TensorSpec};
use teff_tools::quantize::QuantParams;
use zerocopy::{FromBytes, IntoBytes};

/// Indices of the steps of [`small`].
const CONV: usize = 0;
const TABLE_STEP: usize = 1;
const ADD_STEP: usize = 2;

/// x (1,4,4,2) → conv 3×3 → table → add(conv, table): three steps, one of them in place.
fn small() -> Patient {
    let mut program = Program::default();
    let mut tensor = |name: &str, data_type, shape: &[usize], content| {
        let zero_point = if data_type == DataType::I32 { 0 } else { 3 };
        let quant = QuantParams { data_type, scale: 0.5, zero_point };
        program.tensor(TensorSpec { name: name.into(), shape: shape.to_vec(), quant, content })
    };
    let x = tensor("x", DataType::I8, &[1, 4, 4, 2], Content::Arena);
    let w = tensor("w", DataType::I8, &[3, 3, 3, 2], Content::Constant((0..54).collect()));
    let bias = tensor("bias", DataType::I32, &[3], Content::Constant([5_i32, -7, 90].as_bytes().to_vec()));
    let mult = tensor("mult", DataType::I32, &[3], Content::Constant([1_i32 << 30; 3].as_bytes().to_vec()));
    let shift = tensor("shift", DataType::U8, &[3], Content::Constant(vec![36, 37, 38]));
    let table = tensor("table", DataType::I8, &[256], Content::Constant((0..=255).collect()));
    let a = tensor("a", DataType::I8, &[1, 4, 4, 3], Content::Arena);
    let b = tensor("b", DataType::I8, &[1, 4, 4, 3], Content::Arena);
    let y = tensor("y", DataType::I8, &[1, 4, 4, 3], Content::Arena);
    let step = |name: &str, op, inputs: &[TensorId], output, params: &[u8]| StepSpec {
        name: name.into(),
        op,
        inputs: inputs.to_vec(),
        outputs: vec![output],
        params: params.to_vec(),
        apart: false,
        overlap: None,
        scratch_wish: 0,
    };
    let limits = teff::ops::Limits { min: -128, max: 127 };
    let conv = conv2d::Params { stride: [1; 2], dilation: [1; 2], pad: [1; 4], groups: 1, limits, reserved: 0 };
    let sum = teff::ops::add::Params { mult_a: 1 << 20, mult_b: 1 << 20, limits, shift: 20, reserved: [0; 3] };
    program.steps = vec![
        step("conv", &CONV2D, &[x, w, bias, mult, shift], a, conv.as_bytes()),
        step("table", &TABLE, &[a, table], b, &[]),
        step("add", &ADD, &[a, b], y, sum.as_bytes()),
    ];
    program.inputs = vec![PortSpec { tensor: x, name: "x".into(), perm: Some(vec![0, 2, 3, 1]) }];
    program.outputs = vec![PortSpec { tensor: y, name: "y".into(), perm: None }];
    let extras = Extras {
        metadata: vec![("labels".into(), "cat\ndog".into())],
        debug_names: true,
        self_test_input: Some((0..32).collect()),
        ..Extras::default()
    };
    Patient::new(&emit(&program, &extras).expect("a valid program").file)
}

fn verify(patient: &Patient) -> Result<(), VerifyError> {
    Model::verify(&patient.bytes).map(|_| ())
}

/// Index of the tensor with this name.
fn tensor_index(patient: &Patient, name: &str) -> usize {
    let model = Model::verify(&patient.bytes).expect("a sound file");
    (0..model.tensor_count()).find(|&i| model.tensor_name(i) == Some(name)).expect("a tensor of this name")
}

/// The small file after `edit`, its CRC made right again.
fn broken(edit: impl FnOnce(&mut Patient)) -> VerifyError {
    let mut patient = small();
    edit(&mut patient);
    patient.seal();
    verify(&patient).expect_err("the edit must be found")
}

fn broken_tensor(name: &str, edit: impl FnOnce(&mut TensorDesc)) -> (usize, VerifyError) {
    let index = tensor_index(&small(), name);
    (index, broken(|p| p.edit(section::TENSORS, index, edit)))
}

fn broken_step(step: usize, edit: impl FnOnce(&mut StepDesc)) -> VerifyError {
    broken(|p| p.edit(section::STEPS, step, edit))
}

/// Edits the parameters of the convolution.
fn broken_conv(edit: impl FnOnce(&mut conv2d::Params)) -> VerifyError {
    broken(|p| {
        let bytes = &mut p.section(section::PARAMS)[..size_of::<conv2d::Params>()];
        edit(conv2d::Params::mut_from_bytes(bytes).expect("the first step's parameters"));
    })
}

/// Edits the constant with this name.
fn broken_constant(name: &str, edit: impl FnOnce(&mut [u8])) -> VerifyError {
    let base = small();
    let offset = Model::verify(&base.bytes).unwrap().tensor(tensor_index(&base, name)).unwrap().offset;
    broken(|p| edit(&mut p.section(section::WEIGHTS)[offset..]))
}

fn step_error(step: usize, issue: OpIssue) -> VerifyError {
    let op = [CONV2D.id, TABLE.id, ADD.id][step];
    VerifyError::Step { step: step as u16, op, issue }
}

#[test]
fn the_small_file_is_sound_and_passes_its_self_test() {
    let patient = small();
    let model = Model::verify(&patient.bytes).unwrap();
    let mut memory = AlignedBytes::zeroed(model.memory_len());
    Session::new(&model, &mut memory).unwrap().self_test().unwrap();
    assert_eq!(model.labels().collect::<Vec<_>>(), ["cat", "dog"]);
    assert_eq!(model.entry(0).unwrap().inputs().next().unwrap().perm(), [0, 2, 3, 1]);
}

#[test]
fn alignment_magic_version_length_and_checksum() {
    let patient = small();
    let mut shifted = AlignedBytes::zeroed(patient.bytes.len() + 1);
    shifted[1..].copy_from_slice(&patient.bytes);
    assert_eq!(Model::verify(&shifted[1..]).err(), Some(VerifyError::Misaligned));

    let mut other = small();
    other.bytes[0] = b'X';
    assert_eq!(verify(&other), Err(VerifyError::BadMagic));

    assert_eq!(broken(|p| p.edit_header(|h| h.major = 2)), VerifyError::Version { major: 2, minor: 0 });
    let mut newer = small();
    newer.edit_header(|h| h.minor = 9);
    newer.seal();
    assert_eq!(verify(&newer), Ok(()), "a newer minor version is compatible");

    let cut = AlignedBytes::from(&patient.bytes[..patient.bytes.len() - 1]);
    let (needed, found) = (patient.bytes.len() as u32, patient.bytes.len() as u32 - 1);
    assert_eq!(Model::verify(&cut).err(), Some(VerifyError::Truncated { needed, found }));
    assert!(matches!(Model::verify(&patient.bytes[..3]), Err(VerifyError::Truncated { .. })));
    assert!(matches!(Model::verify(&patient.bytes[..20]), Err(VerifyError::Truncated { .. })));

    let mut flipped = small();
    let last = flipped.bytes.len() - 40;
    flipped.bytes[last] ^= 1;
    assert!(matches!(verify(&flipped), Err(VerifyError::Checksum { .. })));

    let mut longer = AlignedBytes::zeroed(patient.bytes.len() + 64);
    longer[..patient.bytes.len()].copy_from_slice(&patient.bytes);
    assert!(Model::verify(&longer).is_ok(), "a file may stand in a longer flash slot");
}

#[test]
fn sections() {
    let error = |kind, issue| VerifyError::Section { kind, issue };
    let table = small().sections();
    let at = |kind| table.iter().position(|s| s.kind == kind).unwrap();
    let edit = |kind: u16, change: &dyn Fn(&mut SectionDesc)| broken(|p| p.edit_table(at(kind), change));
    assert_eq!(edit(section::STEPS, &|s| s.kind = 999), error(section::STEPS, SectionIssue::Missing));
    assert_eq!(edit(section::METADATA, &|s| s.kind = section::STEPS), error(section::STEPS, SectionIssue::Duplicate));
    assert_eq!(edit(section::STEPS, &|s| s.offset += 4), error(section::STEPS, SectionIssue::Misaligned));
    assert_eq!(edit(section::STEPS, &|s| s.offset = 1 << 30), error(section::STEPS, SectionIssue::OutOfFile));
    assert_eq!(edit(section::STEPS, &|s| s.len = u32::MAX), error(section::STEPS, SectionIssue::OutOfFile));
    assert_eq!(edit(section::STEPS, &|s| s.len -= 1), error(section::STEPS, SectionIssue::Length));
    assert_eq!(broken(|p| p.edit_header(|h| h.section_count = u16::MAX)), error(0, SectionIssue::OutOfFile));
    assert_eq!(
        broken(|p| p.section(section::STRINGS)[0] = 0xFF),
        error(section::TENSOR_NAMES, SectionIssue::Text),
        "the first string is the name of the input and of its tensor"
    );
    assert_eq!(
        broken(|p| p.edit(section::METADATA, 0, |m: &mut MetadataDesc| m.value.len = 1 << 20)),
        error(section::METADATA, SectionIssue::Text)
    );
    assert_eq!(edit(section::SELF_TEST_INPUT, &|s| s.len -= 1), error(section::SELF_TEST_INPUT, SectionIssue::Length));
    assert_eq!(edit(section::SELF_TEST_CRCS, &|s| s.len -= 4), error(section::SELF_TEST_CRCS, SectionIssue::Length));
    assert_eq!(edit(section::STEP_NAMES, &|s| s.len -= 8), error(section::STEP_NAMES, SectionIssue::Length));
}

#[test]
fn pools() {
    let edit = |change: &dyn Fn(&mut PoolDesc)| broken(|p| p.edit(section::POOLS, 0, change));
    assert_eq!(edit(&|pool| pool.kind = 7), VerifyError::Pool { index: 0 });
    assert_eq!(edit(&|pool| pool.kind = 1), VerifyError::Pool { index: 0 }, "pool 0 is an arena");
    assert_eq!(edit(&|pool| pool.len = 0xFFFF_FFF0), VerifyError::Pool { index: 0 });
    assert_eq!(edit(&|pool| pool.len += 1), VerifyError::Pool { index: 0 });
}

#[test]
fn tensors() {
    let check = |name: &str, issue, edit: &dyn Fn(&mut TensorDesc)| {
        let (index, error) = broken_tensor(name, edit);
        assert_eq!(error, VerifyError::Tensor { index: index as u16, issue });
    };
    check("x", TensorIssue::DataType, &|t| t.data_type = 77);
    check("x", TensorIssue::Shape, &|t| t.rank = 9);
    check("x", TensorIssue::Shape, &|t| t.shape_start = u32::MAX);
    check("x", TensorIssue::Storage, &|t| t.storage = 3);
    check("x", TensorIssue::OutOfBounds, &|t| t.offset = 1 << 20);
    check("w", TensorIssue::OutOfBounds, &|t| t.offset = 0xFFFF_FFF0);
    check("w", TensorIssue::Misaligned, &|t| t.offset += 1);
    check("x", TensorIssue::ZeroPoint, &|t| t.zero_point = 128);
    check("bias", TensorIssue::ZeroPoint, &|t| t.zero_point = 1);
    check("x", TensorIssue::Scale, &|t| t.scale = 0.0);
    check("x", TensorIssue::Scale, &|t| t.scale = f32::NAN);
    check("x", TensorIssue::Scale, &|t| t.scale = f32::INFINITY);
    check("y", TensorIssue::Lifetime, &|t| t.last = 1);
    check("y", TensorIssue::Lifetime, &|t| t.last = 99);
    check("w", TensorIssue::Lifetime, &|t| t.flags = 1);
    check("y", TensorIssue::Order, &|t| t.first = 0);
    let zero_dim = broken(|p| p.edit(section::SHAPES, 0, |d: &mut u32| *d = 0));
    assert!(matches!(zero_dim, VerifyError::Tensor { issue: TensorIssue::Shape, .. }));
    let huge = broken(|p| p.edit(section::SHAPES, 0, |d: &mut u32| *d = u32::MAX));
    assert!(matches!(huge, VerifyError::Tensor { issue: TensorIssue::Shape, .. }));
}

#[test]
fn live_tensors_may_not_share_memory() {
    let base = small();
    let (a, b) = (tensor_index(&base, "a"), tensor_index(&base, "b"));
    let place = Model::verify(&base.bytes).unwrap().tensor(a).unwrap().offset as u32;
    // b is written while a is still needed: its place may not be a's, wholly or in part.
    for shift in [0, 16] {
        let error = broken(|p| p.edit(section::TENSORS, b, |t: &mut TensorDesc| t.offset = place + shift));
        assert_eq!(error, VerifyError::OverlappingTensors { a: a as u16, b: b as u16 });
    }
}

#[test]
fn in_place_needs_the_very_same_place_and_a_willing_operator() {
    let base = small();
    let model = Model::verify(&base.bytes).unwrap();
    let (x, a, y) = (tensor_index(&base, "x"), tensor_index(&base, "a"), tensor_index(&base, "y"));
    let (t_a, t_y) = (model.tensor(a).unwrap(), model.tensor(y).unwrap());
    let b = tensor_index(&base, "b");
    let t_b = model.tensor(b).unwrap();
    assert!(t_y.offset == t_a.offset || t_y.offset == t_b.offset, "the planner lets the sum take an operand's place");
    // One byte beside the operand's place is not in place.
    let taken = if t_y.offset == t_a.offset { a } else { b };
    let error = broken(|p| p.edit(section::TENSORS, y, |t: &mut TensorDesc| t.offset += 1));
    assert!(matches!(error, VerifyError::OverlappingTensors { .. } | VerifyError::Tensor { .. }), "{error}");
    // What the caller reads after the run may not be overwritten.
    let error = broken(|p| p.edit(section::PORTS, 1, |port: &mut PortDesc| port.tensor = taken as u16));
    assert!(matches!(error, VerifyError::OverlappingTensors { .. }), "{error}");
    // A convolution never works in place.
    let place = model.tensor(x).unwrap().offset as u32;
    let error = broken(|p| p.edit(section::TENSORS, a, |t: &mut TensorDesc| t.offset = place));
    assert!(matches!(error, VerifyError::OverlappingTensors { .. }), "{error}");
}

#[test]
fn scratch_memory_may_not_touch_live_tensors() {
    let base = small();
    let x = tensor_index(&base, "x");
    let place = Model::verify(&base.bytes).unwrap().tensor(x).unwrap().offset as u32;
    let error = broken_step(CONV, |s| s.scratch_offset = place);
    assert!(matches!(error, VerifyError::OverlappingScratch { step: 0, .. }), "{error}");
    assert_eq!(broken_step(CONV, |s| s.scratch_len = 0), step_error(CONV, OpIssue::Scratch));
    assert_eq!(broken_step(CONV, |s| s.scratch_offset = 1 << 20), step_error(CONV, OpIssue::Scratch));
    assert_eq!(broken_step(CONV, |s| s.scratch_offset += 4), step_error(CONV, OpIssue::Scratch));
}

#[test]
fn steps() {
    assert_eq!(broken_step(CONV, |s| s.op = 9999), VerifyError::UnknownOp { step: 0, op: 9999 });
    assert_eq!(broken_step(CONV, |s| s.outputs = 0), step_error(CONV, OpIssue::Operands));
    assert_eq!(broken_step(CONV, |s| s.operand_start = 1 << 20), step_error(CONV, OpIssue::Operands));
    assert_eq!(broken_step(CONV, |s| s.params_len = 4), step_error(CONV, OpIssue::ParamsLength));
    assert_eq!(broken_step(CONV, |s| s.params_offset = u32::MAX), step_error(CONV, OpIssue::Operands));
    // Operands: x w bias mult shift | a, a table | b, a b | y.
    let swap = |at: usize, name: &str| {
        let index = tensor_index(&small(), name) as u16;
        broken(|p| p.edit(section::OPERANDS, at, |t: &mut u16| *t = index))
    };
    assert_eq!(swap(0, "bias"), step_error(CONV, OpIssue::DataType));
    assert_eq!(swap(1, "table"), step_error(CONV, OpIssue::Shape));
    assert_eq!(swap(1, "x"), step_error(CONV, OpIssue::Storage));
    assert_eq!(swap(0, "y"), step_error(CONV, OpIssue::ReadBeforeWrite));
    assert_eq!(swap(5, "w"), step_error(CONV, OpIssue::Write));
    assert_eq!(swap(8, "a"), step_error(TABLE_STEP, OpIssue::Write));
    assert_eq!(swap(9, "x"), step_error(ADD_STEP, OpIssue::ReadBeforeWrite));
    let far = broken(|p| p.edit(section::OPERANDS, 0, |t: &mut u16| *t = 60_000));
    assert_eq!(far, step_error(CONV, OpIssue::Operands));
}

#[test]
fn parameters() {
    assert_eq!(broken_conv(|p| p.stride[0] = 0), step_error(CONV, OpIssue::Params));
    assert_eq!(broken_conv(|p| p.dilation[1] = 0), step_error(CONV, OpIssue::Params));
    assert_eq!(broken_conv(|p| p.groups = 0), step_error(CONV, OpIssue::Params));
    assert_eq!(broken_conv(|p| p.groups = 2), step_error(CONV, OpIssue::Shape));
    assert_eq!(broken_conv(|p| p.pad[0] = 9), step_error(CONV, OpIssue::Shape));
    assert_eq!(broken_conv(|p| p.pad[0] = u16::MAX), step_error(CONV, OpIssue::Params));
    assert_eq!(broken_conv(|p| p.limits = teff::ops::Limits { min: 5, max: 4 }), step_error(CONV, OpIssue::Params));
    assert_eq!(broken_constant("shift", |b| b[1] = 0), step_error(CONV, OpIssue::Shift));
    assert_eq!(broken_constant("shift", |b| b[2] = 63), step_error(CONV, OpIssue::Shift));
    assert_eq!(broken_constant("mult", |b| b[3] = 1), step_error(CONV, OpIssue::Multiplier));
    assert_eq!(broken_constant("bias", |b| b[3] = 0x7F), step_error(CONV, OpIssue::Bias));
}

#[test]
fn entries_and_ports() {
    let entry = |change: &dyn Fn(&mut EntryDesc)| broken(|p| p.edit(section::ENTRIES, 0, change));
    assert_eq!(entry(&|e| e.step_start = 1), VerifyError::Entry { index: 0 });
    assert_eq!(entry(&|e| e.step_count = 0), VerifyError::Entry { index: 0 });
    assert_eq!(entry(&|e| e.step_count = 99), VerifyError::Entry { index: 0 });
    assert_eq!(entry(&|e| e.inputs = 9), VerifyError::Entry { index: 0 });
    assert_eq!(
        entry(&|e| e.step_count = 2),
        VerifyError::Port { index: 1, issue: PortIssue::Output },
        "the output is written by a step outside the entry"
    );
    let port = |index: usize, change: &dyn Fn(&mut PortDesc)| broken(|p| p.edit(section::PORTS, index, change));
    let error = |index, issue| VerifyError::Port { index, issue };
    let of = |name: &str| tensor_index(&small(), name) as u16;
    assert_eq!(port(0, &|p| p.tensor = 999), error(0, PortIssue::Tensor));
    assert_eq!(port(0, &|p| p.tensor = of("w")), error(0, PortIssue::Tensor));
    assert_eq!(port(0, &|p| p.tensor = of("a")), error(0, PortIssue::Input));
    assert_eq!(port(1, &|p| p.tensor = of("x")), error(1, PortIssue::Output));
    assert_eq!(port(0, &|p| p.perm[0] = 1), error(0, PortIssue::Permutation));
    assert_eq!(port(0, &|p| p.perm_rank = 3), error(0, PortIssue::Permutation));
    assert_eq!(port(0, &|p| p.perm_rank = 99), error(0, PortIssue::Permutation));
}

#[test]
fn a_firmware_without_the_operator_refuses_the_model() {
    static ONLY_CONV: &[&teff::ops::OpDef] = &[&CONV2D];
    let patient = small();
    let error = Model::verify_with(&patient.bytes, ONLY_CONV).err();
    assert_eq!(error, Some(VerifyError::UnknownOp { step: 1, op: TABLE.id }));
}

#[test]
fn a_narrow_operator_refuses_what_it_leaves_out() {
    static DENSE: &[&teff::ops::OpDef] = &[&CONV2D_DENSE, &TABLE, &ADD];
    let mut patient = small();
    let model = Model::verify_with(&patient.bytes, DENSE).expect("one group is all that it has");
    let mut memory = AlignedBytes::zeroed(model.memory_len());
    Session::new(&model, &mut memory).expect("it fits").self_test().expect("the same bits");
    let params = &mut patient.section(section::PARAMS)[..size_of::<conv2d::Params>()];
    conv2d::Params::mut_from_bytes(params).expect("the first step's parameters").groups = 2;
    patient.seal();
    assert_eq!(Model::verify_with(&patient.bytes, DENSE).err(), Some(step_error(CONV, OpIssue::Narrow)));
}

#[test]
fn an_embedded_model_runs_without_the_checks_and_damage_is_found() {
    static ONLY_RUN: &[&teff::ops::OpDef] = &[&CONV2D.only_run(), &TABLE.only_run(), &ADD.only_run()];
    let mut patient = small();
    let model = Model::embedded(&patient.bytes, ONLY_RUN).expect("the file is whole");
    let mut memory = AlignedBytes::zeroed(model.memory_len());
    Session::new(&model, &mut memory).expect("it fits").self_test().expect("the bits of the verified model");
    let error = Model::verify_with(&patient.bytes, ONLY_RUN).err();
    assert_eq!(error, Some(VerifyError::UnknownOp { step: 0, op: CONV2D.id }), "nothing can check these steps");
    patient.section(section::WEIGHTS)[0] ^= 1;
    assert!(matches!(Model::embedded(&patient.bytes, ONLY_RUN), Err(VerifyError::Checksum { .. })));
}

/// Only a fault that verification would have found can bring this about: the run ends with an error, or with results that mean
/// nothing, and touches nothing outside its slices.
#[test]
fn a_file_that_was_never_verified_does_no_harm() {
    for step in 0..3 {
        for edit in [
            |s: &mut StepDesc| s.operand_start = 1000,
            |s: &mut StepDesc| s.params_len = 1,
            |s: &mut StepDesc| s.scratch_offset = u32::MAX,
        ] {
            let mut patient = small();
            patient.edit(section::STEPS, step, edit);
            patient.edit(section::STEPS, step, |s: &mut StepDesc| s.scratch_len = 64);
            patient.seal();
            let model = Model::embedded(&patient.bytes, teff::ops::ALL).expect("steps are not looked at");
            let mut memory = AlignedBytes::zeroed(model.memory_len());
            let _ = Session::new(&model, &mut memory).expect("it fits").run();
            assert!(verify(&patient).is_err());
        }
    }
}

#[test]
fn self_test_finds_a_wrong_weight() {
    let mut patient = small();
    patient.section(section::WEIGHTS)[0] ^= 0x40;
    patient.seal();
    let model = Model::verify(&patient.bytes).expect("any weight is a valid weight");
    let mut memory = AlignedBytes::zeroed(model.memory_len());
    let error = Session::new(&model, &mut memory).unwrap().self_test().expect_err("the CRC of step 0 differs");
    assert!(matches!(error, teff::SelfTestError::Mismatch { step: 0, .. }), "{error}");
}

#[test]
fn sessions_refuse_memory_that_does_not_fit() {
    let patient = small();
    let model = Model::verify(&patient.bytes).unwrap();
    let needed = model.memory_len();
    let mut memory = AlignedBytes::zeroed(needed + 16);
    assert_eq!(
        Session::new(&model, &mut memory[..needed - 1]).err(),
        Some(teff::SessionError::MemoryTooSmall { needed, found: needed - 1 })
    );
    assert_eq!(Session::new(&model, &mut memory[1..]).err(), Some(teff::SessionError::MemoryMisaligned));
    let mut session = Session::new(&model, &mut memory).unwrap();
    assert_eq!(session.input(1).err(), Some(teff::SessionError::NoSuchPort { index: 1 }));
    assert_eq!(session.output_i8(3).err(), Some(teff::SessionError::NoSuchPort { index: 3 }));
}

/// The files that the property tests damage: the small one, and those of the zoo.
fn victims() -> &'static [AlignedBytes] {
    static FILES: std::sync::OnceLock<Vec<AlignedBytes>> = std::sync::OnceLock::new();
    FILES.get_or_init(|| {
        let zoo = ["lightcnn-mnist", "lightcnn-fashion"].map(|name| {
            let path = teff_tests::root().join("models").join(name).join("model.teff");
            AlignedBytes::from(std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).as_slice())
        });
        std::iter::once(small().bytes).chain(zoo).collect()
    })
}

/// Verifies; what verifies, runs.
fn verify_and_run(bytes: &[u8]) -> bool {
    let Ok(model) = Model::verify(bytes) else { return false };
    let mut memory = AlignedBytes::zeroed(model.memory_len());
    let mut session = Session::new(&model, &mut memory).expect("exact memory");
    session.run().expect("a verified model runs");
    let _ = session.self_test();
    for name in (0..model.tensor_count()).filter_map(|i| model.tensor_name(i)) {
        assert!(name.len() <= bytes.len());
    }
    true
}

/// One change to a file: a byte anywhere, or a whole word of a table.
#[derive(Debug, Clone)]
enum Damage {
    Byte(prop::sample::Index, u8),
    Word(prop::sample::Index, u32),
}

fn damage() -> impl Strategy<Value = Damage> {
    let words =
        prop_oneof![Just(0_u32), Just(1), Just(u32::MAX), Just(1 << 31), Just(0xFFFF_FFF0), 0..4096_u32, any::<u32>()];
    prop_oneof![
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(i, b)| Damage::Byte(i, b)),
        (any::<prop::sample::Index>(), words).prop_map(|(i, w)| Damage::Word(i, w)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// With the CRC as it was: nothing but an error.
    #[test]
    fn a_flipped_bit_is_found(victim in 0..3_usize, at: prop::sample::Index, bit in 0..8) {
        let mut bytes = victims()[victim].clone();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        prop_assert!(Model::verify(&bytes).is_err());
    }

    #[test]
    fn a_cut_file_is_refused(victim in 0..3_usize, at: prop::sample::Index) {
        let bytes = &victims()[victim];
        prop_assert!(Model::verify(&bytes[..at.index(bytes.len())]).is_err());
    }

    /// With the CRC made right, so that the damage reaches every later check: an error, or a model that runs.
    #[test]
    fn a_forged_file_is_refused_or_runs(
        victim in 0..3_usize,
        in_tables: bool,
        damages in prop::collection::vec(damage(), 1..4),
    ) {
        let mut patient = Patient { bytes: victims()[victim].clone() };
        let weights = patient.sections().iter().find(|s| s.kind == section::WEIGHTS).map_or(0, |s| s.offset as usize);
        let len = if in_tables { weights } else { patient.bytes.len() };
        for damage in damages {
            match damage {
                Damage::Byte(at, value) => patient.bytes[at.index(len)] = value,
                Damage::Word(at, value) => {
                    let at = at.index(len) & !3;
                    patient.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
                }
            }
        }
        patient.seal();
        verify_and_run(&patient.bytes);
    }
}

#[test]
fn undamaged_files_run() {
    assert!(victims().iter().all(|file| verify_and_run(file)));
}
