//! Relu, relu6, clip.
//!
//! Input: `x` of elements E. Output: E of the same shape and quantization. May work in place.
//! Arithmetic: [`crate::kernels::elementwise::reference::clamp`].

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Limits, Operator};
use super::check::{self, ensure};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};
use crate::kernels::{Element, elementwise};

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// Ends of the output.
    pub limits: Limits,
}

/// The operator.
pub struct Clamp<E>(PhantomData<E>);

impl<E: Element> Operator for Clamp<E> {
    type Params = Params;
    const IN_PLACE: &'static [u8] = &[0];

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        let (x, y) = check::unary::<E>(step, 1)?;
        ensure(x.same_quantization(&y), OpIssue::Quantization)?;
        ensure(x.shape == y.shape, OpIssue::Shape)?;
        params.limits.check::<E>()?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let [min, max] = params.limits.ends::<E>();
        let p = elementwise::Clamp { min, max };
        arch::elementwise::clamp(&p, frame.elementwise()?).ok_or(error)
    }
}
