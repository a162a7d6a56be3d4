//! Largest or smallest element over axes.
//!
//! Input: `x` i8, i16 or i32. Output: the same type, quantization and rank, the reduced axes of length 1.
//! Arithmetic: [`crate::kernels::order::reference::extreme`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{DataType, OpIssue, StepView};
use crate::kernels::order::Extreme;

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// Bit i is set if axis i is reduced.
    pub axes: u32,
    /// 1 for the largest element, 0 for the smallest.
    pub largest: u32,
}

/// The operator.
pub struct ReduceExtreme;

fn run<T>(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError>
where
    T: Copy + Ord + FromBytes + IntoBytes + Immutable + KnownLayout,
{
    let error = frame.inconsistent();
    let p = Extreme { shape: frame.input(0)?.shape, axes: params.axes, largest: params.largest != 0 };
    let (x, y) = frame.unary::<T, T>(0)?;
    arch::order::extreme(&p, x, y).ok_or(error)
}

impl Operator for ReduceExtreme {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        let (x, y) = check::movement(step)?;
        check::ordered(step.input(0))?;
        ensure(params.largest <= 1, OpIssue::Params)?;
        check::reduced(&x, &y, params.axes)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        match frame.input(0)?.data_type {
            DataType::I32 => run::<i32>(frame, params),
            DataType::I16 => run::<i16>(frame, params),
            _ => run::<i8>(frame, params),
        }
    }
}
