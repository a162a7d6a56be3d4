//! A tensor with updates added at places that indices name.
//!
//! Operands as in [`super::scatter`], data and updates of elements E.
//! Arithmetic: [`crate::kernels::index::reference::scatter_add`].

use core::marker::PhantomData;

use super::Operator;
use super::check::{self, ensure};
pub use super::scatter::Params;
use super::scatter::{check, kernel};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};
use crate::kernels::Element;

/// The operator.
pub struct ScatterAdd<E>(PhantomData<E>);

impl<E: Element> Operator for ScatterAdd<E> {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        check(step, params)?;
        check::input(step, 0, E::DATA_TYPE)?;
        let updates = step.input(2).ok_or(OpIssue::Operands)?;
        // 2^15 · 2^16 ≤ 2^31
        ensure(updates.len < E::MAX_SUMMED >> 8, OpIssue::Depth)?;
        arch::index::scatter_add_scratch_len(&kernel(step, params).ok_or(OpIssue::Params)?).ok_or(OpIssue::Shape)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(kernel(frame.step(), params))?;
        let zero_point = frame.output(0)?.zero_point;
        let (inputs, y, scratch) = frame.apart()?;
        let indices = inputs.get(1).ok_or(error)?;
        let (data, updates) = inputs.get(0).zip(inputs.get(2)).ok_or(error)?;
        let sums = super::elements(scratch).ok_or(error)?;
        arch::index::scatter_add::<E>(&p, zero_point, [data, updates], indices, y, sums).map_err(|fault| error.of(fault))
    }
}
