//! Elementwise difference: the sum with the second factor negated.
//!
//! Operands and parameters: as of [`super::add`].

use super::Operator;
use super::add::Add;
pub use super::add::Params;
use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};

/// The operator.
pub struct Sub;

impl Operator for Sub {
    type Params = Params;
    const IN_PLACE: &'static [u8] = Add::IN_PLACE;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        Add::check(step, params)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        Add::run(frame, &Params { mult_b: params.mult_b.wrapping_neg(), ..*params })
    }
}
