//! Sum over axes: as [`super::reduce_mean`], without a divisor in the factor.

use super::Operator;
pub use super::reduce_mean::Params;
use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};

/// The operator.
pub struct ReduceSum;

impl Operator for ReduceSum {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        super::reduce_mean::check(step, params)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        super::reduce_mean::run(frame, params)
    }
}
