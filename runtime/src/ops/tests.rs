//! What the operators accept and refuse, on models of one step, and that what they accept runs.

use std::{vec, vec::Vec};

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::*;
use crate::checksum::Crc32;
use crate::format::layout::{
    ALIGNMENT, CRC_OFFSET, EntryDesc, FLAG_INPUT, Header, MAGIC, MAJOR, MINOR, PoolDesc, PortDesc, SectionDesc,
    StepDesc, StringRef, TensorDesc, section,
};
use crate::format::{DataType, Model, VerifyError};
use crate::{Aligned, Session};

/// An operand; its bytes, if it is a constant.
#[derive(Clone)]
struct Operand {
    shape: Vec<u32>,
    zero_point: i32,
    scale: f32,
    data_type: DataType,
    constant: Option<Vec<u8>>,
}

/// A file, and zeros up to the end.
type File = Aligned<[u8; 1 << 11]>;

/// A step of `op` with one output, which may take the place of an input.
#[derive(Clone)]
struct Step {
    op: &'static OpDef,
    inputs: Vec<Operand>,
    output: Operand,
    in_place: Option<usize>,
    params: Vec<u8>,
    scratch_offset: u32,
}

fn operand(shape: &[u32]) -> Operand {
    Operand { shape: shape.to_vec(), zero_point: 0, scale: 1.0, data_type: DataType::I8, constant: None }
}

fn constant(values: &[i8]) -> Operand {
    Operand { constant: Some(values.as_bytes().to_vec()), ..operand(&[values.len() as u32]) }
}

fn wide(shape: &[u32]) -> Operand {
    Operand { data_type: DataType::I16, ..operand(shape) }
}

fn words(values: &[i32]) -> Operand {
    let constant = Some(values.as_bytes().to_vec());
    Operand { data_type: DataType::I32, constant, ..operand(&[values.len() as u32]) }
}

fn step<P: IntoBytes + Immutable>(op: &'static OpDef, inputs: &[Operand], output: Operand, params: &P) -> Step {
    Step { op, inputs: inputs.to_vec(), output, in_place: None, params: params.as_bytes().to_vec(), scratch_offset: 0 }
}

impl Step {
    fn with(&self, edit: impl FnOnce(&mut Self)) -> Self {
        let mut edited = self.clone();
        edit(&mut edited);
        edited
    }

    /// The step as a file.
    fn file(&self) -> File {
        let (mut shapes, mut tensors, mut weights, mut ports) = (vec![], vec![], vec![], vec![]);
        let mut arena = 0;
        let text = StringRef { offset: 0, len: 0 };
        for (i, tensor) in self.inputs.iter().chain([&self.output]).enumerate() {
            let is_output = i == self.inputs.len();
            let bytes = tensor.shape.iter().product::<u32>() * tensor.data_type.size() as u32;
            let len = bytes.next_multiple_of(16);
            let (storage, offset) = match &tensor.constant {
                Some(values) => {
                    let offset = weights.len() as u32;
                    weights.extend_from_slice(values.as_bytes());
                    weights.resize(weights.len().next_multiple_of(ALIGNMENT), 0);
                    (0, offset)
                }
                None => {
                    arena += len;
                    (1, arena - len)
                }
            };
            let replaced = self.in_place.filter(|_| is_output).and_then(|slot| tensors.get(slot));
            tensors.push(TensorDesc {
                data_type: tensor.data_type.code(),
                rank: tensor.shape.len() as u8,
                storage,
                flags: if storage == 1 && !is_output { FLAG_INPUT } else { 0 },
                shape_start: shapes.len() as u32,
                offset: replaced.map_or(offset, |tensor: &TensorDesc| tensor.offset),
                zero_point: tensor.zero_point,
                scale: tensor.scale,
                first: 0,
                last: 0,
            });
            shapes.extend_from_slice(&tensor.shape);
            if storage == 1 {
                ports.push(PortDesc { tensor: i as u16, perm_rank: 0, name: text, perm: [0; 8] });
            }
        }
        let desc = StepDesc {
            op: self.op.id,
            inputs: self.inputs.len() as u8,
            outputs: 1,
            operand_start: 0,
            params_offset: 0,
            params_len: self.params.len() as u32,
            scratch_offset: self.scratch_offset,
            scratch_len: 0,
        };
        let inputs = ports.len() as u16 - 1;
        let entry = EntryDesc { name: text, step_start: 0, step_count: 1, port_start: 0, inputs, outputs: 1 };
        let operands: Vec<u16> = (0..tensors.len() as u16).collect();
        seal(&[
            (section::POOLS, PoolDesc { kind: 0, reserved: [0; 3], len: arena }.as_bytes()),
            (section::SHAPES, shapes.as_bytes()),
            (section::TENSORS, tensors.as_bytes()),
            (section::OPERANDS, operands.as_bytes()),
            (section::STEPS, desc.as_bytes()),
            (section::PARAMS, &self.params),
            (section::PORTS, ports.as_bytes()),
            (section::ENTRIES, entry.as_bytes()),
            (section::WEIGHTS, &weights),
            (section::STRINGS, &[]),
        ])
    }

    /// What the operator refuses.
    fn issue(&self) -> Option<OpIssue> {
        match Model::verify(&self.file().0) {
            Ok(_) => None,
            Err(VerifyError::Step { issue, .. }) => Some(issue),
            Err(other) => panic!("{other}"),
        }
    }

    /// The output for these inputs, one after another.
    fn run(&self, inputs: &[&[i8]]) -> Vec<i8> {
        self.run_as(inputs)
    }

    /// [`Step::run`] for operands of these elements.
    fn run_as<X: IntoBytes + Immutable, Y: FromBytes + Copy>(&self, inputs: &[&[X]]) -> Vec<Y> {
        let file = self.file();
        let model = Model::verify(&file.0).unwrap();
        let mut memory = Aligned([99; 1 << 10]);
        let mut session = Session::new(&model, &mut memory.0).unwrap();
        for (i, input) in inputs.iter().enumerate() {
            session.input(i).unwrap().copy_from_slice(input.as_bytes());
        }
        session.run().unwrap();
        session.output(0).unwrap().chunks_exact(size_of::<Y>()).map(|y| Y::read_from_bytes(y).unwrap()).collect()
    }
}

/// The file of these sections.
fn seal(sections: &[(u16, &[u8])]) -> File {
    let mut file = Aligned([0; size_of::<File>()]);
    let mut end = size_of::<Header>() + size_of_val(sections);
    let mut table = vec![];
    for &(kind, bytes) in sections {
        let start = end.next_multiple_of(ALIGNMENT);
        end = start + bytes.len();
        file.0[start..end].copy_from_slice(bytes);
        table.push(SectionDesc { kind, reserved: 0, offset: start as u32, len: bytes.len() as u32 });
    }
    let header = Header {
        magic: MAGIC,
        major: MAJOR,
        minor: MINOR,
        file_len: end as u32,
        crc: 0,
        section_count: table.len() as u16,
        reserved: [0; 7],
    };
    let head = [header.as_bytes(), table.as_bytes()].concat();
    file.0[..head.len()].copy_from_slice(&head);
    let mut crc = Crc32::new();
    crc.update(&file.0[..CRC_OFFSET]);
    crc.update(&file.0[CRC_OFFSET + 4..end]);
    file.0[CRC_OFFSET..CRC_OFFSET + 4].copy_from_slice(crc.finish().as_bytes());
    file
}

/// A change of one thing in a step.
type Edit<'e> = &'e dyn Fn(&mut Step);

/// Checks that `sound` is accepted, and each edit of it refused for the reason beside it.
fn refuses<const N: usize>(sound: &Step, edits: [(OpIssue, Edit<'_>); N]) {
    assert_eq!(sound.issue(), None);
    for (i, (issue, edit)) in edits.into_iter().enumerate() {
        assert_eq!(sound.with(edit).issue(), Some(issue), "edit {i}");
    }
}

const fn limits(min: i16, max: i16) -> Limits {
    Limits { min, max }
}

/// Replaces the parameters.
fn set<P: IntoBytes + Immutable>(params: P) -> impl Fn(&mut Step) {
    move |step| step.params = params.as_bytes().to_vec()
}

const WITHIN_100: Limits = limits(-100, 100);
const MUL: requantize::Params = requantize::Params { mult: 1 << 30, limits: WITHIN_100, shift: 30, reserved: [0; 3] };
const SUM: add::Params =
    add::Params { mult_a: 1 << 21, mult_b: -(1 << 21), limits: WITHIN_100, shift: 21, reserved: [0; 3] };

#[test]
fn sums_are_checked() {
    for op in [&ADD, &SUB] {
        let sound = step(op, &[operand(&[2, 3]), constant(&[1, 2, 3])], operand(&[2, 3]), &SUM);
        refuses(
            &sound,
            [
                (OpIssue::ParamsLength, &|s| s.params.truncate(8)),
                (OpIssue::Operands, &|s| s.inputs.truncate(1)),
                (OpIssue::Operands, &|s| s.inputs.push(constant(&[1]))),
                (OpIssue::DataType, &|s| s.inputs[1].data_type = DataType::U8),
                (OpIssue::DataType, &|s| s.output.data_type = DataType::U8),
                (OpIssue::Shape, &|s| s.inputs[1].shape = vec![2]),
                (OpIssue::Shape, &|s| s.inputs[1].shape = vec![1, 1, 3]),
                (OpIssue::Shape, &|s| s.output.shape = vec![2, 1]),
                (OpIssue::Multiplier, &set(add::Params { mult_a: (1 << 21) + 1, ..SUM })),
                (OpIssue::Multiplier, &set(add::Params { mult_b: i32::MIN, ..SUM })),
                (OpIssue::Shift, &set(add::Params { shift: 31, ..SUM })),
                (OpIssue::Params, &set(add::Params { limits: limits(1, 0), ..SUM })),
                (OpIssue::Params, &set(add::Params { limits: limits(-129, 0), ..SUM })),
                (OpIssue::Params, &set(add::Params { limits: limits(0, 128), ..SUM })),
                (OpIssue::Params, &set(add::Params { reserved: [0, 0, 1], ..SUM })),
            ],
        );
        assert_eq!(sound.with(|s| s.inputs[1].shape = vec![1, 3]).issue(), None);
        assert_eq!(sound.with(|s| s.inputs[1] = constant(&[1])).issue(), None);
        assert_eq!(sound.with(|s| s.inputs[1] = Operand { shape: vec![], ..constant(&[1]) }).issue(), None);
    }
}

#[test]
fn products_are_checked() {
    let sound = step(&super::MUL, &[operand(&[1, 3]), operand(&[2, 1])], operand(&[2, 3]), &MUL);
    refuses(
        &sound,
        [
            (OpIssue::Shape, &|s| s.inputs[0].shape = vec![2]),
            (OpIssue::Multiplier, &set(requantize::Params { mult: 1, ..MUL })),
            (OpIssue::Shift, &set(requantize::Params { shift: 0, ..MUL })),
            (OpIssue::Shift, &set(requantize::Params { shift: 63, ..MUL })),
            (OpIssue::Params, &set(requantize::Params { limits: limits(-100, -101), ..MUL })),
            (OpIssue::Params, &set(requantize::Params { reserved: [1, 0, 0], ..MUL })),
        ],
    );
    assert_eq!(sound.run(&[&[1, 2, 3], &[10, -20]]), [10, 20, 30, -20, -40, -60]);
}

#[test]
fn sums_and_differences_run_in_every_form() {
    let add = add::Params { mult_b: 1 << 20, ..SUM };
    let (a, b): (&[i8], &[i8]) = (&[1, 2, 3, 90], &[4, -7, 1, 127]);
    let apart = step(&ADD, &[operand(&[4]), operand(&[4])], operand(&[4]), &add);
    let sub = apart.with(|s| s.op = &SUB);
    for in_place in [None, Some(0), Some(1)] {
        assert_eq!(apart.with(|s| s.in_place = in_place).run(&[a, b]), [3, -1, 4, 100]);
        assert_eq!(sub.with(|s| s.in_place = in_place).run(&[a, b]), [-1, 6, 3, 27]);
    }
    // A constant on either side, the activation in place, under other axes.
    let left = step(&SUB, &[constant(&[50]), operand(&[4])], operand(&[1, 4]), &add);
    let right = step(&SUB, &[operand(&[4]), constant(&[50])], operand(&[1, 4]), &add);
    for in_place in [false, true] {
        assert_eq!(left.with(|s| s.in_place = in_place.then_some(1)).run(&[b]), [48, 54, 50, -13]);
        assert_eq!(right.with(|s| s.in_place = in_place.then_some(0)).run(&[a]), [-24, -23, -22, 65]);
    }
    // An operand that is repeated leaves no room for the result.
    let small = apart.with(|s| (s.inputs[0].shape, s.in_place) = (vec![1], Some(0)));
    assert!(matches!(Model::verify(&small.file().0), Err(VerifyError::OverlappingTensors { .. })));
}

#[test]
fn clamp_table_and_requantize_are_checked() {
    let params = clamp::Params { limits: limits(-1, 6) };
    let clamp = step(&CLAMP, &[operand(&[3])], operand(&[3]), &params);
    refuses(
        &clamp,
        [
            (OpIssue::Shape, &|s| s.output.shape = vec![1, 3]),
            (OpIssue::Quantization, &|s| s.output.zero_point = 1),
            (OpIssue::Quantization, &|s| s.output.scale = 2.0),
            (OpIssue::Params, &set(clamp::Params { limits: limits(7, 6) })),
            (OpIssue::Params, &set(clamp::Params { limits: limits(-1, 256) })),
        ],
    );
    let squares: Vec<i8> = (-128..128_i32).map(|x| (x * x).min(127) as i8).collect();
    let table = step(&TABLE, &[operand(&[3]), constant(&squares)], operand(&[3]), &table::Params);
    refuses(
        &table,
        [
            (OpIssue::ParamsLength, &|s| s.params.push(0)),
            (OpIssue::Storage, &|s| s.inputs[1].constant = None),
            (OpIssue::Shape, &|s| s.inputs[1].shape = vec![255]),
            (OpIssue::Shape, &|s| s.output.shape = vec![2]),
            (OpIssue::DataType, &|s| s.inputs[1].data_type = DataType::U8),
        ],
    );
    let scaled = step(&REQUANTIZE, &[operand(&[3])], Operand { zero_point: 5, ..operand(&[3]) }, &MUL);
    refuses(
        &scaled,
        [
            (OpIssue::Shape, &|s| s.output.shape = vec![4]),
            (OpIssue::Multiplier, &set(requantize::Params { mult: i32::MIN, ..MUL })),
            (OpIssue::Params, &set(requantize::Params { limits: limits(101, 100), ..MUL })),
        ],
    );
    for in_place in [None, Some(0)] {
        assert_eq!(clamp.with(|s| s.in_place = in_place).run(&[&[-5, 3, 100]]), [-1, 3, 6]);
        assert_eq!(table.with(|s| s.in_place = in_place).run(&[&[-5, 3, -128]]), [25, 9, 127]);
        assert_eq!(scaled.with(|s| s.in_place = in_place).run(&[&[-5, 3, 120]]), [0, 8, 100]);
    }
}

#[test]
fn pad_is_checked() {
    let params = pad::Params { before: [1, 0, 0, 0, 0, 0, 0, 0], after: [0, 2, 0, 0, 0, 0, 0, 0], value: [9, 0, 0, 0] };
    let sound = step(&PAD, &[operand(&[1, 2])], operand(&[2, 4]), &params);
    refuses(
        &sound,
        [
            (OpIssue::Shape, &|s| s.output.shape = vec![2, 5]),
            (OpIssue::Shape, &|s| s.output.shape = vec![2, 4, 1]),
            (OpIssue::Quantization, &|s| s.output.zero_point = 1),
            (OpIssue::Params, &set(pad::Params { after: [0, 2, 0, 0, 0, 0, 0, 1], ..params })),
            (OpIssue::Params, &set(pad::Params { value: [9, 0, 1, 0], ..params })),
        ],
    );
    assert_eq!(sound.run(&[&[1, 2]]), [9, 9, 9, 9, 1, 2, 9, 9]);
}

#[test]
fn concat_is_checked() {
    let rows = Operand { shape: vec![2, 1], ..constant(&[7, 8]) };
    let sound =
        step(&CONCAT, &[operand(&[2, 2]), rows, operand(&[2, 1])], operand(&[2, 4]), &concat::Params { axis: 1 });
    refuses(
        &sound,
        [
            (OpIssue::Operands, &|s| s.inputs.clear()),
            (OpIssue::Shape, &|s| s.inputs.truncate(2)),
            (OpIssue::Shape, &|s| s.inputs[2].shape = vec![1, 1]),
            (OpIssue::Shape, &|s| s.inputs[2].shape = vec![2]),
            (OpIssue::Quantization, &|s| s.inputs[2].zero_point = 1),
            (OpIssue::DataType, &|s| s.inputs[2].data_type = DataType::U8),
            (OpIssue::Params, &set(concat::Params { axis: 2 })),
            (OpIssue::Params, &set(concat::Params { axis: u32::MAX })),
        ],
    );
    assert_eq!(sound.run(&[&[1, 2, 3, 4], &[5, 6]]), [1, 2, 7, 5, 3, 4, 8, 6]);
}

#[test]
fn slice_is_checked() {
    let params = slice::Params { start: [1, 4, 0, 0, 0, 0, 0, 0], step: [1, -2, 0, 0, 0, 0, 0, 0] };
    let sound = step(&SLICE, &[operand(&[2, 5])], operand(&[1, 3]), &params);
    let start = |start: [i32; 2]| set(slice::Params { start: [start[0], start[1], 0, 0, 0, 0, 0, 0], ..params });
    let stride = |step: [i32; 2]| set(slice::Params { step: [step[0], step[1], 0, 0, 0, 0, 0, 0], ..params });
    refuses(
        &sound,
        [
            (OpIssue::Shape, &|s| s.output.shape = vec![3]),
            (OpIssue::Quantization, &|s| s.output.scale = 2.0),
            (OpIssue::Params, &|s| s.output.shape = vec![2, 3]),
            (OpIssue::Params, &start([2, 4])),
            (OpIssue::Params, &start([1, 3])),
            (OpIssue::Params, &start([1, 5])),
            (OpIssue::Params, &start([-1, 4])),
            (OpIssue::Params, &stride([0, -2])),
            (OpIssue::Params, &stride([1, 1])),
            (OpIssue::Params, &stride([1, i32::MIN])),
        ],
    );
    assert_eq!(sound.with(stride([i32::MIN, -1])).run(&[&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]), [9, 8, 7]);
    assert_eq!(sound.run(&[&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]), [9, 7, 5]);
}

#[test]
fn reshape_and_transpose_are_checked() {
    let reshape = step(&RESHAPE, &[operand(&[2, 3])], operand(&[6, 1]), &reshape::Params);
    refuses(
        &reshape,
        [
            (OpIssue::Shape, &|s| s.output.shape = vec![5]),
            (OpIssue::Quantization, &|s| s.output.zero_point = 1),
            (OpIssue::ParamsLength, &|s| s.params.push(0)),
        ],
    );
    let constant = reshape.with(|s| s.inputs[0].constant = Some(vec![1_u8, 2, 3, 4, 5, 6]));
    for (step, inputs) in [(&reshape, &[&[1, 2, 3, 4, 5, 6][..]][..]), (&constant, &[])] {
        assert_eq!(step.run(inputs), [1, 2, 3, 4, 5, 6]);
    }
    assert_eq!(reshape.with(|s| s.in_place = Some(0)).run(&[&[1, 2, 3, 4, 5, 6]]), [1, 2, 3, 4, 5, 6]);
    let perm = |perm: [u8; 3]| set(transpose::Params { perm: [perm[0], perm[1], perm[2], 0, 0, 0, 0, 0] });
    let transpose = step(&TRANSPOSE, &[operand(&[2, 3])], operand(&[3, 2]), &[1_u8, 0, 0, 0, 0, 0, 0, 0]);
    refuses(
        &transpose,
        [
            (OpIssue::Shape, &|s| s.output.shape = vec![2, 3]),
            (OpIssue::Shape, &|s| s.output.shape = vec![3, 2, 1]),
            (OpIssue::Shape, &perm([0, 1, 0])),
            (OpIssue::Params, &perm([1, 1, 0])),
            (OpIssue::Params, &perm([1, 2, 0])),
            (OpIssue::Params, &perm([1, 0, 1])),
        ],
    );
    assert_eq!(transpose.run(&[&[1, 2, 3, 4, 5, 6]]), [1, 4, 2, 5, 3, 6]);
}

#[test]
fn scratch_memory_of_no_bytes_is_nowhere() {
    let x = &[1; 40][..];
    let reshape = step(&RESHAPE, &[operand(&[40])], operand(&[40, 1]), &reshape::Params);
    assert_eq!(reshape.with(|s| s.scratch_offset = 16).run(&[x]), x);
}

#[test]
fn int16_tables_are_checked() {
    // Two segments: −x in steps of 2^14, and x in one step of 2^15.
    let (segments, knots) = ([14, 2 << 8 | 15], [32_768 << 8, 16_384 << 8, 0, 32_768 << 8]);
    let sound = step(&TABLE_S16, &[wide(&[4]), words(&segments), words(&knots)], wide(&[4]), &table::Params);
    let with_segments = |segments: &'static [i32]| move |s: &mut Step| s.inputs[1] = words(segments);
    refuses(
        &sound,
        [
            (OpIssue::Operands, &|s| s.inputs.truncate(2)),
            (OpIssue::ParamsLength, &|s| s.params.push(0)),
            (OpIssue::DataType, &|s| s.inputs[0] = operand(&[4])),
            (OpIssue::DataType, &|s| s.output = operand(&[4])),
            (OpIssue::DataType, &|s| s.inputs[1].data_type = DataType::U8),
            (OpIssue::DataType, &|s| s.inputs[2].data_type = DataType::U8),
            (OpIssue::Storage, &|s| s.inputs[1].constant = None),
            (OpIssue::Storage, &|s| s.inputs[2].constant = None),
            (OpIssue::Shape, &|s| s.output.shape = vec![5]),
            (OpIssue::Table, &|s| s.inputs[2].shape = vec![3]),
            (OpIssue::Table, &with_segments(&[14, 2 << 8 | 15, 14])),
            (OpIssue::Table, &with_segments(&[14, 2 << 8 | 16])),
            (OpIssue::Table, &with_segments(&[14, 3 << 8 | 15])),
            (OpIssue::Table, &with_segments(&[14, 2 << 8 | 14])),
            (OpIssue::Table, &with_segments(&[14, -1])),
            (OpIssue::Table, &with_segments(&[0, 2 << 8 | 15])),
        ],
    );
    for in_place in [None, Some(0)] {
        let found: Vec<i16> = sound.with(|s| s.in_place = in_place).run_as(&[&[-32_768_i16, -5, 0, 32_767]]);
        assert_eq!(found, [32_767, 5, 0, 32_767]);
    }
}

#[test]
fn the_int16_forms_run_and_refuse_other_types() {
    let add = add::Params {
        mult_a: 1 << 30,
        mult_b: -(1 << 30),
        limits: limits(-30_000, 30_000),
        shift: 30,
        reserved: [0; 3],
    };
    let sum = step(&ADD_S16, &[wide(&[3]), wide(&[3])], wide(&[3]), &add);
    refuses(
        &sum,
        [
            (OpIssue::DataType, &|s| s.inputs[1] = operand(&[3])),
            (OpIssue::DataType, &|s| s.op = &ADD),
            (OpIssue::Shift, &set(add::Params { shift: 47, ..add })),
            (OpIssue::Multiplier, &set(add::Params { mult_a: (1 << 30) + 1, ..add })),
        ],
    );
    let (a, b) = ([-32_768_i16, 5, 100], [32_767_i16, -5, 32_767]);
    assert_eq!(sum.run_as::<i16, i16>(&[&a, &b]), [-30_000, 10, -30_000]);

    let widen = requantize::Params { mult: 1 << 30, limits: limits(-32_768, 32_767), shift: 23, reserved: [0; 3] };
    let x = Operand { zero_point: -3, ..operand(&[3]) };
    let widened = step(&REQUANTIZE_S8_S16, &[x], wide(&[3]), &widen);
    refuses(
        &widened,
        [
            (OpIssue::DataType, &|s| s.output = operand(&[3])),
            (OpIssue::DataType, &|s| s.inputs[0] = wide(&[3])),
            (OpIssue::Shape, &|s| s.output.shape = vec![1, 3]),
            (OpIssue::Shift, &set(requantize::Params { shift: 0, ..widen })),
            (OpIssue::Params, &set(requantize::Params { limits: limits(1, 0), ..widen })),
        ],
    );
    assert_eq!(widened.run_as::<i8, i16>(&[&[-128, -3, 127]]), [-125 * 128, 0, 130 * 128]);
    let narrow = requantize::Params { limits: limits(-128, 127), shift: 37, ..widen };
    let y = Operand { zero_point: -3, ..operand(&[3]) };
    let narrowed = step(&REQUANTIZE_S16_S8, &[wide(&[3])], y, &narrow);
    assert_eq!(narrowed.run_as::<i16, i8>(&[&[-125 * 128, 64, 130 * 128]]), [-128, -2, 127]);
    let too_wide = narrowed.with(set(requantize::Params { limits: limits(-129, 127), ..narrow }));
    assert_eq!(too_wide.issue(), Some(OpIssue::Params));
}

#[test]
fn a_zero_point_of_int16_is_refused() {
    let file =
        step(&CLAMP_S16, &[Operand { zero_point: 1, ..wide(&[3]) }], wide(&[3]), &clamp::Params::default()).file();
    let issue = crate::format::TensorIssue::ZeroPoint;
    assert_eq!(Model::verify(&file.0).err(), Some(VerifyError::Tensor { index: 0, issue }));
}

#[test]
fn movements_take_every_type() {
    for data_type in [DataType::I8, DataType::U8, DataType::I16, DataType::I32] {
        let of_type = |shape: &[u32]| Operand { data_type, ..operand(shape) };
        let size = data_type.size();
        let x: Vec<u8> = (0..6 * size as u8).collect();
        let element = |i: usize| &x[i * size..][..size];
        let of = |order: &[usize]| order.iter().flat_map(|&i| element(i)).copied().collect::<Vec<u8>>();

        let perm = [1_u8, 0, 0, 0, 0, 0, 0, 0];
        let transpose = step(&TRANSPOSE, &[of_type(&[2, 3])], of_type(&[3, 2]), &perm);
        assert_eq!(transpose.run_as::<u8, u8>(&[&x]), of(&[0, 3, 1, 4, 2, 5]));
        let other = transpose.with(|s| s.output.data_type = if size == 4 { DataType::I8 } else { DataType::I32 });
        assert_eq!(other.issue(), Some(OpIssue::DataType));

        let reshape = step(&RESHAPE, &[of_type(&[2, 3])], of_type(&[6]), &reshape::Params);
        assert_eq!(reshape.run_as::<u8, u8>(&[&x]), x);

        let mut slice = slice::Params::default();
        (slice.start[0], slice.step[0]) = (5, -2);
        let slice = step(&SLICE, &[of_type(&[6])], of_type(&[3]), &slice);
        assert_eq!(slice.run_as::<u8, u8>(&[&x]), of(&[5, 3, 1]));

        let concat =
            step(&CONCAT, &[of_type(&[2, 3]), of_type(&[2, 3])], of_type(&[2, 6]), &concat::Params { axis: 1 });
        assert_eq!(concat.run_as::<u8, u8>(&[&x, &x]), of(&[0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5]));

        let mut pad = pad::Params::default();
        pad.before[0] = 1;
        pad.value[..size].fill(9);
        let padded = step(&PAD, &[of_type(&[6])], of_type(&[7]), &pad);
        assert_eq!(padded.run_as::<u8, u8>(&[&x]), [vec![9; size], x.clone()].concat());
        let too_long = (size < 4).then(|| padded.with(set(pad::Params { value: [9; 4], ..pad })));
        assert!(too_long.is_none_or(|step| step.issue() == Some(OpIssue::Params)));
    }
}

#[test]
fn narrow_fully_connected_layers_have_the_same_bits_and_refuse_what_they_leave_out() {
    let layer = |rows: u32, inputs: u32, outputs: u32| {
        let weights: Vec<u8> = (0..inputs * outputs).map(|i| (i % 7) as u8).collect();
        let weights = Operand { constant: Some(weights), ..operand(&[outputs, inputs]) };
        let all = |value: i32| words(&vec![value; outputs as usize]);
        let shift = Operand { data_type: DataType::U8, ..constant(&vec![34; outputs as usize]) };
        let params = fully_connected::Params { limits: WITHIN_100 };
        let inputs = [operand(&[rows, inputs]), weights, all(3), all(1 << 30), shift];
        step(&FULLY_CONNECTED, &inputs, operand(&[rows, outputs]), &params)
    };
    let issue = |layer: &Step, op: &'static [&'static OpDef]| match Model::verify_with(&layer.file().0, op) {
        Ok(_) => None,
        Err(VerifyError::Step { issue, .. }) => Some(issue),
        Err(other) => panic!("{other}"),
    };
    static SMALL: &[&OpDef] = &[&FULLY_CONNECTED_SMALL];
    static VECTOR: &[&OpDef] = &[&FULLY_CONNECTED_VECTOR];
    let x: Vec<i8> = (-64..64).collect();
    for (rows, inputs, outputs, small, vector) in [
        (1, 128, 2, None, None),
        (1, 1, 3, None, None),
        (1, 129, 2, Some(OpIssue::Narrow), None),
        (2, 4, 3, Some(OpIssue::Narrow), Some(OpIssue::Narrow)),
    ] {
        let layer = layer(rows, inputs, outputs);
        assert_eq!(
            (layer.issue(), issue(&layer, SMALL), issue(&layer, VECTOR)),
            (None, small, vector),
            "{rows}×{inputs}"
        );
        let accepted = [SMALL, VECTOR].into_iter().filter(|op| issue(&layer, op).is_none());
        for op in accepted.filter(|_| inputs as usize <= x.len()) {
            let file = layer.file();
            let model = Model::verify_with(&file.0, op).unwrap();
            let mut memory = Aligned([99; 1 << 10]);
            let mut session = Session::new(&model, &mut memory.0).unwrap();
            let x = &x[..inputs as usize];
            session.input_i8(0).unwrap().copy_from_slice(x);
            session.run().unwrap();
            assert_eq!(session.output_i8(0).unwrap(), layer.run(&[x]), "{}", op[0].name);
        }
    }
}
