//! Normalisation by mean and variance, or by the mean of squares.
//!
//! Inputs: `x` of elements E, of any shape; `scale` (K) i32 and `bias` (K) i32 constants, K a divisor of the number of
//! elements. Output: as `x`. Arithmetic: [`crate::kernels::norm::reference::normalize`].

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::check::{self, ensure};
use super::{Limits, Operator};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::fixed::MAX_SHIFT;
use crate::format::{DataType, OpIssue, StepView};
use crate::kernels::Element;
use crate::kernels::norm::{BIAS_BITS, MAX_COUNT, Normalize as Kernel};

/// Largest absolute factor: with a normalised value below 2^31 its product stays below 2^61.
const MAX_SCALE: u32 = 1 << 30;
/// Binary logarithm of the largest absolute term.
const MAX_TERM_BITS: u32 = 61;

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// Low and high half of `n²·ε / s_x²` for n elements a mean.
    pub epsilon: [u32; 2],
    /// Ends of the output.
    pub limits: Limits,
    /// Bit i is set if mean and variance are over axis i.
    pub axes: u8,
    /// 1 if the mean is subtracted, else 0.
    pub centered: u8,
    /// Binary exponent of the result.
    pub shift: u8,
    /// 0.
    pub reserved: u8,
}

/// The operator.
pub struct Normalize<E>(PhantomData<E>);

fn kernel<'m, E: Element>(step: &StepView<'m>, params: &Params) -> Option<Kernel<'m, E>> {
    let (x, y) = (step.input(0)?, step.output(0)?);
    let [low, high] = params.epsilon.map(u64::from);
    Some(Kernel {
        shape: x.shape,
        axes: params.axes.into(),
        centered: params.centered == 1,
        epsilon: low | high << 32,
        in_zero_point: x.zero_point,
        scale: step.constant(1)?,
        bias: step.constant(2)?,
        shift: params.shift,
        output: params.limits.output(&y),
    })
}

impl<E: Element> Operator for Normalize<E> {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        let (x, y) = check::unary::<E>(step, 3)?;
        params.limits.check::<E>()?;
        let rank = x.shape.len().try_into().unwrap_or(u32::MAX);
        let axes = params.axes.checked_shr(rank).unwrap_or(0) == 0;
        ensure(axes && params.centered <= 1 && params.reserved == 0, OpIssue::Params)?;
        ensure((BIAS_BITS..=MAX_SHIFT).contains(&params.shift), OpIssue::Shift)?;
        ensure(x.shape == y.shape, OpIssue::Shape)?;
        let (scale, bias) = (check::constant(step, 1, DataType::I32)?, check::constant(step, 2, DataType::I32)?);
        ensure(scale.len == bias.len && x.len.is_multiple_of(scale.len.max(1)), OpIssue::Shape)?;
        let p = kernel::<E>(step, params).ok_or(OpIssue::Storage)?;
        ensure(p.scale.iter().all(|s| s.unsigned_abs() <= MAX_SCALE), OpIssue::Multiplier)?;
        let up = u32::from(params.shift.saturating_sub(BIAS_BITS));
        let bits = |b: &i32| u32::BITS.saturating_sub(b.unsigned_abs().leading_zeros());
        ensure(p.bias.iter().all(|b| bits(b).saturating_add(up) <= MAX_TERM_BITS), OpIssue::Bias)?;
        let count = p.groups().and_then(|groups| x.len.checked_div(groups)).ok_or(OpIssue::Shape)?;
        ensure(count <= MAX_COUNT, OpIssue::Depth)?;
        arch::norm::normalize_scratch_len(&p).ok_or(OpIssue::Shape)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(kernel::<E>(frame.step(), params))?;
        let (x, y, scratch) = frame.unary_with_scratch(0)?;
        let sums = super::elements(scratch).ok_or(error)?;
        arch::norm::normalize(&p, x, y, sums).ok_or(error)
    }
}
