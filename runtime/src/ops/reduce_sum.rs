//! Sum over axes: as [`super::reduce_mean`], without a divisor in the factor.

use core::marker::PhantomData;

use super::Operator;
pub use super::reduce_mean::Params;
use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};
use crate::kernels::Element;

/// The operator.
pub struct ReduceSum<E>(PhantomData<E>);

impl<E: Element> Operator for ReduceSum<E> {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        super::reduce_mean::check::<E>(step, params)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        super::reduce_mean::run::<E>(frame, params)
    }
}
