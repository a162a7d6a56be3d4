//! Elementwise difference: the sum with the second factor negated.
//!
//! Operands and parameters: as of [`super::add`].

use core::marker::PhantomData;

use super::Operator;
use super::add::Add;
pub use super::add::Params;
use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};
use crate::arch::Products;

/// The operator.
pub struct Sub<E>(PhantomData<E>);

impl<E: Products> Operator for Sub<E> {
    type Params = Params;
    const IN_PLACE: &'static [u8] = Add::<E>::IN_PLACE;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        Add::<E>::check(step, params)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        Add::<E>::run(frame, &Params { mult_b: params.mult_b.wrapping_neg(), ..*params })
    }
}
