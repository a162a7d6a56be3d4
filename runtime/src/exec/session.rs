//! A model with the memory to run it.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::error::{RunError, SelfTestError, SessionError};
use super::frame::Frame;
use crate::checksum::Crc32;
use crate::format::layout::ALIGNMENT;
use crate::format::{DataType, Entry, Model, Port, StepView, Storage, Tensor};

/// What an observer is told after each step.
pub struct StepEvent<'e, 'm> {
    /// The step: its index, operator, operands and parameters.
    pub step: StepView<'m>,
    /// The bytes of its first output.
    pub output: &'e [u8],
}

/// A model bound to the memory in which it runs.
///
/// Inputs are written with [`Session::input_i8`] and its like, a run computes the outputs, and [`Session::output_i8`] and
/// its like read them. The planner may give the
/// memory of an input to later tensors: write the inputs anew before each run. State is 0, which is the
/// zero point of its elements, when the session is made and after [`Session::reset`], and lasts from run to run.
pub struct Session<'s, 'm> {
    model: &'s Model<'m>,
    memory: &'s mut [u8],
}

impl<'s, 'm> Session<'s, 'm> {
    /// Binds `model` to `memory`: at least [`Model::memory_len`] bytes that start at a multiple of 16.
    ///
    /// # Errors
    /// If the memory is too small or misaligned.
    pub fn new(model: &'s Model<'m>, memory: &'s mut [u8]) -> Result<Self, SessionError> {
        let (needed, found) = (model.memory_len(), memory.len());
        if !memory.as_ptr().addr().is_multiple_of(ALIGNMENT) {
            return Err(SessionError::MemoryMisaligned);
        }
        let memory = memory.get_mut(..needed).ok_or(SessionError::MemoryTooSmall { needed, found })?;
        let mut session = Self { model, memory };
        session.reset();
        Ok(session)
    }

    /// The model.
    pub fn model(&self) -> &'s Model<'m> {
        self.model
    }

    /// Gives the state the values with which it begins: each element is its tensor's zero point, which stands for 0.
    pub fn reset(&mut self) {
        for (range, first) in self.model.states() {
            if let Some(state) = self.memory.get_mut(range) {
                state.fill(first);
            }
        }
    }

    /// The bytes of input `index` of the first entry point, to be written before each run.
    ///
    /// # Errors
    /// If there is no such input.
    pub fn input(&mut self, index: usize) -> Result<&mut [u8], SessionError> {
        let tensor = port(self.model.entry(0), index, |entry| entry.inputs().nth(index))?;
        self.bytes_mut(&tensor).ok_or(SessionError::NoSuchPort { index })
    }

    /// [`Session::input`] as int8.
    ///
    /// # Errors
    /// If there is no such input, or its elements are of another type.
    pub fn input_i8(&mut self, index: usize) -> Result<&mut [i8], SessionError> {
        self.input_elements(index, DataType::I8)
    }

    /// [`Session::input`] as int16.
    ///
    /// # Errors
    /// If there is no such input, or its elements are of another type.
    pub fn input_i16(&mut self, index: usize) -> Result<&mut [i16], SessionError> {
        self.input_elements(index, DataType::I16)
    }

    /// [`Session::input`] as int32.
    ///
    /// # Errors
    /// If there is no such input, or its elements are of another type.
    pub fn input_i32(&mut self, index: usize) -> Result<&mut [i32], SessionError> {
        self.input_elements(index, DataType::I32)
    }

    /// `T` is the type that `data_type` names.
    fn input_elements<T>(&mut self, index: usize, data_type: DataType) -> Result<&mut [T], SessionError>
    where
        T: FromBytes + IntoBytes + KnownLayout,
    {
        let tensor = port(self.model.entry(0), index, |entry| entry.inputs().nth(index))?;
        if tensor.data_type != data_type {
            return Err(SessionError::WrongType);
        }
        let bytes = self.bytes_mut(&tensor).ok_or(SessionError::NoSuchPort { index })?;
        <[T]>::mut_from_bytes(bytes).map_err(|_| SessionError::WrongType)
    }

    /// The bytes of output `index` of the first entry point, valid after a run.
    ///
    /// # Errors
    /// If there is no such output.
    pub fn output(&self, index: usize) -> Result<&[u8], SessionError> {
        let tensor = port(self.model.entry(0), index, |entry| entry.outputs().nth(index))?;
        self.bytes(&tensor).ok_or(SessionError::NoSuchPort { index })
    }

    /// [`Session::output`] as int8.
    ///
    /// # Errors
    /// If there is no such output, or its elements are of another type.
    pub fn output_i8(&self, index: usize) -> Result<&[i8], SessionError> {
        self.output_elements(index, DataType::I8)
    }

    /// [`Session::output`] as int16.
    ///
    /// # Errors
    /// If there is no such output, or its elements are of another type.
    pub fn output_i16(&self, index: usize) -> Result<&[i16], SessionError> {
        self.output_elements(index, DataType::I16)
    }

    /// [`Session::output`] as int32.
    ///
    /// # Errors
    /// If there is no such output, or its elements are of another type.
    pub fn output_i32(&self, index: usize) -> Result<&[i32], SessionError> {
        self.output_elements(index, DataType::I32)
    }

    /// `T` is the type that `data_type` names.
    fn output_elements<T>(&self, index: usize, data_type: DataType) -> Result<&[T], SessionError>
    where
        T: FromBytes + Immutable + KnownLayout,
    {
        let tensor = port(self.model.entry(0), index, |entry| entry.outputs().nth(index))?;
        if tensor.data_type != data_type {
            return Err(SessionError::WrongType);
        }
        let bytes = self.bytes(&tensor).ok_or(SessionError::NoSuchPort { index })?;
        <[T]>::ref_from_bytes(bytes).map_err(|_| SessionError::WrongType)
    }

    /// Input `index` of entry point `entry` as int32.
    ///
    /// # Errors
    /// If there is no such input, or its elements are of another type.
    pub fn entry_input_i32(&mut self, entry: usize, index: usize) -> Result<&mut [i32], SessionError> {
        let tensor = port(self.model.entry(entry), index, |entry| entry.inputs().nth(index))?;
        self.words_mut(&tensor, index)
    }

    /// Output `index` of entry point `entry` as int32, valid after a run of it; what the caller writes there no step
    /// reads.
    ///
    /// # Errors
    /// If there is no such output, or its elements are of another type.
    pub fn entry_output_i32(&mut self, entry: usize, index: usize) -> Result<&mut [i32], SessionError> {
        let tensor = port(self.model.entry(entry), index, |entry| entry.outputs().nth(index))?;
        self.words_mut(&tensor, index)
    }

    fn words_mut(&mut self, tensor: &Tensor<'_>, index: usize) -> Result<&mut [i32], SessionError> {
        if tensor.data_type != DataType::I32 {
            return Err(SessionError::WrongType);
        }
        let bytes = self.bytes_mut(tensor).ok_or(SessionError::NoSuchPort { index })?;
        <[i32]>::mut_from_bytes(bytes).map_err(|_| SessionError::WrongType)
    }

    /// Runs entry point `entry`: one sequence of steps over the weights and the state that all entry points share.
    ///
    /// # Errors
    /// If there is no such entry point, or as [`Session::run`].
    pub fn run_entry(&mut self, entry: usize) -> Result<(), RunError> {
        let entry = self.model.entry(entry).ok_or(RunError::NoSuchEntry)?;
        entry.steps().try_for_each(|index| match &self.model.step(index) {
            Some(step) => self.execute(step),
            None => Err(no_step(index)),
        })
    }

    /// Runs the first entry point.
    ///
    /// # Errors
    /// If data asks for something out of range, such as a gather index; never for a reason of the file.
    pub fn run(&mut self) -> Result<(), RunError> {
        self.run_entry(0)
    }

    /// Runs the first entry point and tells `observer` of each step.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_observed(&mut self, mut observer: impl FnMut(&StepEvent<'_, 's>)) -> Result<(), RunError> {
        let entry = self.model.entry(0).ok_or(RunError::NoSuchEntry)?;
        for index in entry.steps() {
            let step = self.run_step(index)?;
            let output = self.step_output(&step, 0).unwrap_or(&[]);
            observer(&StepEvent { step, output });
        }
        Ok(())
    }

    /// Runs the embedded self-test: the bits of every step are compared with those of the PC that converted the
    /// model. Overwrites inputs and state.
    ///
    /// # Errors
    /// If there is no self-test, or a step differs.
    pub fn self_test(&mut self) -> Result<(), SelfTestError> {
        let (input, crcs) = self.model.self_test().ok_or(SelfTestError::Absent)?;
        let entry = self.model.entry(0).ok_or(SelfTestError::Absent)?;
        self.reset();
        let mut rest = input;
        for tensor in entry.inputs().filter_map(|port| port.tensor()) {
            if let (Some(to), Some((from, tail))) = (self.bytes_mut(&tensor), rest.split_at_checked(tensor.byte_len()))
            {
                to.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
                rest = tail;
            }
        }
        for (index, &expected) in entry.steps().zip(crcs) {
            let step = self.run_step(index).map_err(SelfTestError::Run)?;
            let found = self.outputs_crc(&step);
            if found != expected {
                let step = u16::try_from(index).unwrap_or(u16::MAX);
                return Err(SelfTestError::Mismatch { step, expected, found });
            }
        }
        self.reset();
        Ok(())
    }

    /// CRC-32 of the output bytes of a step that has just run.
    pub fn outputs_crc(&self, step: &StepView<'_>) -> u32 {
        let mut crc = Crc32::new();
        for slot in 0..step.outputs.len() {
            crc.update(self.step_output(step, slot).unwrap_or(&[]));
        }
        crc.finish()
    }

    /// The bytes of output `slot` of `step`, which has just run; `None` if it has no such output.
    pub fn step_output(&self, step: &StepView<'_>, slot: usize) -> Option<&[u8]> {
        step.output(slot).and_then(|tensor| self.bytes(&tensor))
    }

    /// Runs one step. The steps of an entry, run in order, are a run of it.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_step(&mut self, index: usize) -> Result<StepView<'s>, RunError> {
        let step = self.model.step(index);
        if let Some(step) = &step {
            self.execute(step)?;
        }
        step.ok_or(no_step(index))
    }

    fn execute(&mut self, step: &StepView<'_>) -> Result<(), RunError> {
        (step.op.run)(&mut Frame::new(step, self.memory))
    }

    fn bytes(&self, tensor: &Tensor<'_>) -> Option<&[u8]> {
        match tensor.storage {
            Storage::Constant => self.model.constant(tensor),
            Storage::Pool(_) => self.memory.get(tensor.offset..tensor.offset.checked_add(tensor.byte_len())?),
        }
    }

    fn bytes_mut(&mut self, tensor: &Tensor<'_>) -> Option<&mut [u8]> {
        match tensor.storage {
            Storage::Constant => None,
            Storage::Pool(_) => self.memory.get_mut(tensor.offset..tensor.offset.checked_add(tensor.byte_len())?),
        }
    }
}

/// The error for a step that is not there.
fn no_step(index: usize) -> RunError {
    RunError::Inconsistent { step: u16::try_from(index).unwrap_or(u16::MAX) }
}

fn port<'m>(
    entry: Option<Entry<'m>>,
    index: usize,
    find: impl FnOnce(Entry<'m>) -> Option<Port<'m>>,
) -> Result<Tensor<'m>, SessionError> {
    entry.and_then(find).and_then(|port| port.tensor()).ok_or(SessionError::NoSuchPort { index })
}
