//! What an operator sees while it runs: its step, and slices of the session's memory.

use core::ops::Range;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::error::RunError;
use crate::format::{StepView, Storage, Tensor};
use crate::kernels::{Binary, Unary};

/// Input, output and scratch memory of an operator that never works in place.
pub type Apart<'a, X, Y> = (&'a [X], &'a mut [Y], &'a mut [u8]);

/// The inputs of a step that does not work in place; several of them may be the same tensor.
pub struct Inputs<'a, 'm> {
    step: &'a StepView<'m>,
    /// The session's memory without the output and the scratch memory: offset and bytes of each piece.
    pieces: [(usize, &'a [u8]); 3],
}

impl<'a, 'm: 'a> Inputs<'a, 'm> {
    /// The elements of input `slot`, constant or not; `None` if they are not of type `T`.
    pub fn get<T: FromBytes + Immutable + KnownLayout>(&self, slot: usize) -> Option<&'a [T]> {
        let tensor = self.step.input(slot)?;
        if tensor.storage == Storage::Constant {
            return self.step.model.constant(&tensor);
        }
        let Range { start, end } = memory_range(&tensor);
        let within =
            |&(offset, bytes): &(usize, &'a [u8])| bytes.get(start.checked_sub(offset)?..end.checked_sub(offset)?);
        <[T]>::ref_from_bytes(self.pieces.iter().find_map(within)?).ok()
    }
}

/// Operands of an operator with several outputs, which never works in place.
pub struct Operands<'a, E> {
    /// Three inputs.
    pub inputs: [&'a [E]; 3],
    /// Two outputs.
    pub outputs: [&'a mut [E]; 2],
    /// The scratch memory.
    pub scratch: &'a mut [u8],
}

/// A step being run.
pub struct Frame<'f, 'm> {
    pub(super) step: &'f StepView<'m>,
    pub(super) memory: &'f mut [u8],
}

/// No bytes: stands in for an operand that lies in the file, and for scratch memory that a step does not have.
pub(super) const NOWHERE: Range<usize> = 0..0;

impl<'f, 'm> Frame<'f, 'm> {
    pub(super) fn new(step: &'f StepView<'m>, memory: &'f mut [u8]) -> Self {
        Self { step, memory }
    }

    /// The step.
    pub fn step(&self) -> &'f StepView<'m> {
        self.step
    }

    /// The error for operands of other sizes than verification proved.
    pub fn inconsistent(&self) -> RunError {
        RunError::Inconsistent { step: u16::try_from(self.step.index).unwrap_or(u16::MAX) }
    }

    /// `value`, or [`Frame::inconsistent`].
    ///
    /// # Errors
    /// If `value` is `None`.
    pub fn expect<T>(&self, value: Option<T>) -> Result<T, RunError> {
        value.ok_or(self.inconsistent())
    }

    /// Input tensor `slot`.
    ///
    /// # Errors
    /// If there is none.
    pub fn input(&self, slot: usize) -> Result<Tensor<'m>, RunError> {
        self.expect(self.step.input(slot))
    }

    /// Output tensor `slot`.
    ///
    /// # Errors
    /// If there is none.
    pub fn output(&self, slot: usize) -> Result<Tensor<'m>, RunError> {
        self.expect(self.step.output(slot))
    }

    /// The elements of the constant input `slot`.
    ///
    /// # Errors
    /// If it is no constant of elements `T`.
    pub fn constant<T: FromBytes + Immutable + KnownLayout>(&self, slot: usize) -> Result<&'m [T], RunError> {
        self.expect(self.step.constant(slot))
    }

    /// The operator's parameters.
    ///
    /// # Errors
    /// If their length is not that of `P`.
    pub fn params<P: FromBytes + Immutable + KnownLayout + ?Sized>(&self) -> Result<&'m P, RunError> {
        self.expect(self.step.params())
    }

    /// Input `x_slot` (constant or not), output 0, and the scratch memory.
    ///
    /// # Errors
    /// If they overlap or are not of these element types.
    pub fn unary_with_scratch<X, Y>(&mut self, x_slot: usize) -> Result<Apart<'_, X, Y>, RunError>
    where
        X: FromBytes + Immutable + KnownLayout,
        Y: FromBytes + IntoBytes + KnownLayout,
    {
        let error = self.inconsistent();
        self.try_unary(x_slot).ok_or(error)
    }

    /// Input `x_slot` and output 0 of an operator that never works in place.
    ///
    /// # Errors
    /// If they overlap or are not of these element types.
    pub fn unary<X, Y>(&mut self, x_slot: usize) -> Result<(&[X], &mut [Y]), RunError>
    where
        X: FromBytes + Immutable + KnownLayout,
        Y: FromBytes + IntoBytes + KnownLayout,
    {
        let (x, y, _) = self.unary_with_scratch(x_slot)?;
        Ok((x, y))
    }

    /// All inputs, output 0, and the scratch memory of an operator that never works in place.
    ///
    /// # Errors
    /// If output and scratch memory overlap, or the output is not of elements `Y`.
    pub fn apart<Y>(&mut self) -> Result<(Inputs<'_, 'm>, &mut [Y], &mut [u8]), RunError>
    where
        Y: FromBytes + IntoBytes + KnownLayout,
    {
        let error = self.inconsistent();
        self.try_apart().ok_or(error)
    }

    /// Input 0 and output 0 of an elementwise operator.
    ///
    /// # Errors
    /// If they overlap in part, or are not of element type `T`.
    pub fn elementwise<T>(&mut self) -> Result<Unary<'_, T>, RunError>
    where
        T: FromBytes + IntoBytes + Immutable + KnownLayout,
    {
        let error = self.inconsistent();
        let x = memory_range(&self.input(0)?);
        let y = memory_range(&self.output(0)?);
        if x == y {
            let both = self.memory.get_mut(y).and_then(|bytes| <[T]>::mut_from_bytes(bytes).ok());
            return both.map(Unary::InPlace).ok_or(error);
        }
        let (x, y) = self.unary(0)?;
        Ok(Unary::Apart(x, y))
    }

    /// Input 0 and output 0, which may lie in each other's place or overlap, and the scratch memory.
    ///
    /// # Errors
    /// If they are not of element type `T`, or the scratch memory overlaps one of them.
    // Once for all operators: in line it takes half a kilobyte in each.
    #[inline(never)]
    pub fn overlapping_with_scratch<T>(&mut self) -> Result<(Unary<'_, T>, &mut [u8]), RunError>
    where
        T: FromBytes + IntoBytes + Immutable + KnownLayout,
    {
        let error = self.inconsistent();
        let x = memory_range(&self.input(0)?);
        let y = memory_range(&self.output(0)?);
        if x == y {
            let scratch = self.scratch_range().ok_or(error)?;
            let [y, scratch] = self.memory.get_disjoint_mut([y, scratch]).map_err(|_| error)?;
            return Ok((Unary::InPlace(<[T]>::mut_from_bytes(y).map_err(|_| error)?), scratch));
        }
        if x.start < y.end && y.start < x.end {
            let (scratch, start) = (self.scratch_range().ok_or(error)?, x.start.min(y.start));
            let both = start..x.end.max(y.end);
            let [memory, scratch] = self.memory.get_disjoint_mut([both, scratch]).map_err(|_| error)?;
            let memory = <[T]>::mut_from_bytes(memory).map_err(|_| error)?;
            let element = |at: usize| at.saturating_sub(start).checked_div(size_of::<T>()).unwrap_or(0);
            let within = |range: Range<usize>| element(range.start)..element(range.end);
            return Ok((Unary::Overlapping { memory, x: within(x), y: within(y) }, scratch));
        }
        let (x, y, scratch) = self.unary_with_scratch(0)?;
        Ok((Unary::Apart(x, y), scratch))
    }

    /// Inputs 0 and 1 and output 0 of an elementwise operator.
    ///
    /// # Errors
    /// If they overlap in part, or are not of element type `T`.
    pub fn binary<T>(&mut self) -> Result<Binary<'_, T>, RunError>
    where
        T: FromBytes + IntoBytes + Immutable + KnownLayout,
    {
        let error = self.inconsistent();
        self.try_binary().ok_or(error)
    }

    /// The inputs `slots` (constant or not), outputs 0 and 1, and the scratch memory; what the step does not have is empty.
    ///
    /// # Errors
    /// If two of them overlap, or are not of elements `E`.
    pub fn operands<E>(&mut self, slots: [usize; 3]) -> Result<Operands<'_, E>, RunError>
    where
        E: FromBytes + IntoBytes + Immutable + KnownLayout,
    {
        let error = self.inconsistent();
        self.try_operands(slots).ok_or(error)
    }

    fn try_operands<E>(&mut self, slots: [usize; 3]) -> Option<Operands<'_, E>>
    where
        E: FromBytes + IntoBytes + Immutable + KnownLayout,
    {
        let inputs = slots.map(|slot| self.step.input(slot));
        let [a, b, c] = inputs.each_ref().map(|tensor| tensor.as_ref().map_or(NOWHERE, memory_range));
        let [y, z] = [0, 1].map(|slot| self.step.output(slot).as_ref().map_or(NOWHERE, memory_range));
        let scratch = self.scratch_range()?;
        let [a, b, c, y, z, scratch] = self.memory.get_disjoint_mut([a, b, c, y, z, scratch]).ok()?;
        let model = self.step.model;
        let view = |tensor: &Option<Tensor<'m>>, bytes| match tensor {
            Some(tensor) if tensor.storage == Storage::Constant => model.constant(tensor),
            _ => <[E]>::ref_from_bytes(bytes).ok(),
        };
        let [first, second, third] = &inputs;
        Some(Operands {
            inputs: [view(first, a)?, view(second, b)?, view(third, c)?],
            outputs: [<[E]>::mut_from_bytes(y).ok()?, <[E]>::mut_from_bytes(z).ok()?],
            scratch,
        })
    }

    /// Where the scratch memory lies; [`NOWHERE`] if the step has none, since its offset may then lie within a tensor.
    fn scratch_range(&self) -> Option<Range<usize>> {
        Some(match self.step.scratch_len {
            0 => NOWHERE,
            len => self.step.scratch_offset..self.step.scratch_offset.checked_add(len)?,
        })
    }

    fn try_unary<X, Y>(&mut self, x_slot: usize) -> Option<Apart<'_, X, Y>>
    where
        X: FromBytes + Immutable + KnownLayout,
        Y: FromBytes + IntoBytes + KnownLayout,
    {
        let (x, y, scratch) = self.unary_bytes(x_slot)?;
        Some((<[X]>::ref_from_bytes(x).ok()?, <[Y]>::mut_from_bytes(y).ok()?, scratch))
    }

    /// The bytes of input `x_slot`, constant or not, of output 0 and of the scratch memory: once for all types.
    #[inline(never)]
    fn unary_bytes(&mut self, x_slot: usize) -> Option<Apart<'_, u8, u8>> {
        let (x, y) = (self.step.input(x_slot)?, self.step.output(0)?);
        let ranges = [memory_range(&x), memory_range(&y), self.scratch_range()?];
        let [x_bytes, y, scratch] = self.memory.get_disjoint_mut(ranges).ok()?;
        let x = match x.storage {
            Storage::Constant => self.step.model.constant(&x)?,
            Storage::Pool(_) => x_bytes,
        };
        Some((x, y, scratch))
    }

    fn try_apart<Y>(&mut self) -> Option<(Inputs<'_, 'm>, &mut [Y], &mut [u8])>
    where
        Y: FromBytes + IntoBytes + KnownLayout,
    {
        let y = memory_range(&self.step.output(0)?);
        let scratch = match self.step.scratch_len {
            // Its offset may lie within a tensor.
            0 => y.end..y.end,
            _ => self.scratch_range()?,
        };
        let scratch_first = scratch.start < y.start;
        let (first, second) = if scratch_first { (scratch, y) } else { (y, scratch) };
        let (before, rest) = self.memory.split_at_mut_checked(first.start)?;
        let (first_bytes, rest) = rest.split_at_mut_checked(first.len())?;
        let (between, rest) = rest.split_at_mut_checked(second.start.checked_sub(first.end)?)?;
        let (second_bytes, behind) = rest.split_at_mut_checked(second.len())?;
        let (y, scratch) = if scratch_first { (second_bytes, first_bytes) } else { (first_bytes, second_bytes) };
        let pieces: [(usize, &[u8]); 3] = [(0, before), (first.end, between), (second.end, behind)];
        Some((Inputs { step: self.step, pieces }, <[Y]>::mut_from_bytes(y).ok()?, scratch))
    }

    fn try_binary<T>(&mut self) -> Option<Binary<'_, T>>
    where
        T: FromBytes + IntoBytes + Immutable + KnownLayout,
    {
        let (a, b, y) = (self.step.input(0)?, self.step.input(1)?, self.step.output(0)?);
        let (a_range, b_range, y_range) = (memory_range(&a), memory_range(&b), memory_range(&y));
        let model = self.step.model;
        let view = |tensor: &Tensor<'m>, bytes| match tensor.storage {
            Storage::Constant => model.constant(tensor),
            Storage::Pool(_) => <[T]>::ref_from_bytes(bytes).ok(),
        };
        Some(match (a_range == y_range, b_range == y_range) {
            (true, true) => Binary::InPlaceBoth(<[T]>::mut_from_bytes(self.memory.get_mut(y_range)?).ok()?),
            (true, false) => {
                let [y_bytes, b_bytes] = self.memory.get_disjoint_mut([y_range, b_range]).ok()?;
                Binary::InPlaceFirst(<[T]>::mut_from_bytes(y_bytes).ok()?, view(&b, b_bytes)?)
            }
            (false, true) => {
                let [y_bytes, a_bytes] = self.memory.get_disjoint_mut([y_range, a_range]).ok()?;
                Binary::InPlaceSecond(view(&a, a_bytes)?, <[T]>::mut_from_bytes(y_bytes).ok()?)
            }
            (false, false) if a_range == b_range => {
                let [x_bytes, y_bytes] = self.memory.get_disjoint_mut([a_range, y_range]).ok()?;
                let x_bytes: &[u8] = x_bytes;
                Binary::Apart(view(&a, x_bytes)?, view(&b, x_bytes)?, <[T]>::mut_from_bytes(y_bytes).ok()?)
            }
            (false, false) => {
                let [a_bytes, b_bytes, y_bytes] = self.memory.get_disjoint_mut([a_range, b_range, y_range]).ok()?;
                Binary::Apart(view(&a, a_bytes)?, view(&b, b_bytes)?, <[T]>::mut_from_bytes(y_bytes).ok()?)
            }
        })
    }
}

/// Where the tensor lies in the session's memory; empty for a constant.
pub(super) fn memory_range(tensor: &Tensor<'_>) -> Range<usize> {
    match tensor.storage {
        Storage::Constant => NOWHERE,
        Storage::Pool(_) => tensor.offset..tensor.offset.saturating_add(tensor.byte_len()),
    }
}
