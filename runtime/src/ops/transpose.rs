//! Permutation of the axes.
//!
//! Input: `x` of any type. Output: the same type and quantization; its axis i is axis `perm[i]` of the input.
//! Arithmetic: [`crate::kernels::movement::reference::transpose`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};
use crate::kernels::movement;

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// Axis i of the output is axis `perm[i]` of the input; 0 beyond the axes of the input.
    pub perm: [u8; 8],
}

/// The operator.
pub struct Transpose;

impl Operator for Transpose {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        let (x, y) = check::movement(step)?;
        let (perm, unused) = params.perm.split_at_checked(x.shape.len()).ok_or(OpIssue::Shape)?;
        let each_once = (0..perm.len()).all(|axis| perm.iter().any(|&p| usize::from(p) == axis));
        ensure(each_once && unused.iter().all(|&p| p == 0), OpIssue::Params)?;
        ensure(perm.iter().map(|&p| x.shape.get(usize::from(p))).eq(y.shape.iter().map(Some)), OpIssue::Shape)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let (x, y) = (frame.input(0)?, frame.output(0)?);
        let p = movement::Transpose { size: x.data_type.size(), x_shape: x.shape, out_shape: y.shape, perm: &params.perm };
        let (x, y) = frame.unary(0)?;
        arch::movement::transpose(&p, x, y).ok_or(error)
    }
}
