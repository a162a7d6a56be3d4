//! What the operators accept and refuse, on models of one step, and that what they accept runs.

use std::{vec, vec::Vec};

use zerocopy::{Immutable, IntoBytes};

use super::*;
use crate::checksum::Crc32;
use crate::format::layout::{
    ALIGNMENT, CRC_OFFSET, EntryDesc, FLAG_INPUT, Header, MAGIC, MAJOR, MINOR, PoolDesc, PortDesc, SectionDesc,
    StepDesc, StringRef, TensorDesc, section,
};
use crate::format::{DataType, Model, VerifyError};
use crate::{Aligned, Session};

/// An int8 operand; its elements, if it is a constant.
#[derive(Clone)]
struct Operand {
    shape: Vec<u32>,
    zero_point: i32,
    scale: f32,
    data_type: DataType,
    constant: Option<Vec<i8>>,
}

/// A step of `op` with one output, which may take the place of an input.
#[derive(Clone)]
struct Step {
    op: &'static OpDef,
    inputs: Vec<Operand>,
    output: Operand,
    in_place: Option<usize>,
    params: Vec<u8>,
}

fn operand(shape: &[u32]) -> Operand {
    Operand { shape: shape.to_vec(), zero_point: 0, scale: 1.0, data_type: DataType::I8, constant: None }
}

fn constant(values: &[i8]) -> Operand {
    Operand { constant: Some(values.to_vec()), ..operand(&[values.len() as u32]) }
}

fn step<P: IntoBytes + Immutable>(op: &'static OpDef, inputs: &[Operand], output: Operand, params: &P) -> Step {
    Step { op, inputs: inputs.to_vec(), output, in_place: None, params: params.as_bytes().to_vec() }
}

impl Step {
    fn with(&self, edit: impl FnOnce(&mut Self)) -> Self {
        let mut edited = self.clone();
        edit(&mut edited);
        edited
    }

    /// The step as a file in aligned memory.
    fn file(&self) -> Vec<Aligned<[u8; ALIGNMENT]>> {
        let (mut shapes, mut tensors, mut weights, mut ports) = (vec![], vec![], vec![], vec![]);
        let mut arena = 0;
        let text = StringRef { offset: 0, len: 0 };
        for (i, tensor) in self.inputs.iter().chain([&self.output]).enumerate() {
            let is_output = i == self.inputs.len();
            let len = tensor.shape.iter().product::<u32>().next_multiple_of(16);
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
            scratch_offset: 0,
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
        match Model::verify(self.file().as_slice().as_bytes_of()) {
            Ok(_) => None,
            Err(VerifyError::Step { issue, .. }) => Some(issue),
            Err(other) => panic!("{other}"),
        }
    }

    /// The output for these inputs, one after another.
    fn run(&self, inputs: &[&[i8]]) -> Vec<i8> {
        let file = self.file();
        let model = Model::verify(file.as_slice().as_bytes_of()).unwrap();
        let mut memory = vec![Aligned([99; ALIGNMENT]); model.memory_len().div_ceil(ALIGNMENT)];
        let mut session = Session::new(&model, memory.as_mut_slice().as_bytes_of_mut()).unwrap();
        for (i, input) in inputs.iter().enumerate() {
            session.input_i8(i).unwrap().copy_from_slice(input);
        }
        session.run().unwrap();
        session.output_i8(0).unwrap().to_vec()
    }
}
