//! Matrix product of two activations.
//!
//! Inputs: `a` `(…, rows, depth)` and `b` `(…, columns, depth)` of elements E, either of them constant or not. The axes
//! before the last two are those of the output, or have one element in all: then the matrix is used for every product.
//! Output: E `(…, rows, columns)`, `a · bᵀ` for each matrix.
//! Arithmetic: [`crate::kernels::matmul::reference::matmul`].

use core::marker::PhantomData;

use super::Operator;
use super::check::{self, ensure};
pub use super::requantize::Params;
use crate::arch;
use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};
use crate::kernels::Element;
use crate::kernels::matmul::{MAX_DEPTH, MatMul as Kernel};
use crate::kernels::nest::elements;

/// The operator.
pub struct MatMul<E>(PhantomData<E>);

/// Number of matrices, rows, and length of a row.
fn matrices(shape: &[u32]) -> Option<(&[u32], [usize; 2])> {
    let (batch, matrix) = shape.split_at_checked(shape.len().checked_sub(2)?)?;
    let &[rows, depth] = matrix else { return None };
    Some((batch, [usize::try_from(rows).ok()?, usize::try_from(depth).ok()?]))
}

fn kernel<E: Element>(step: &StepView<'_>, params: &Params) -> Option<Kernel<E>> {
    let (a, b, y) = (step.input(0)?, step.input(1)?, step.output(0)?);
    let (batch, [rows, columns]) = matrices(y.shape)?;
    let batches = elements(batch)?;
    let ((a_batch, [_, depth]), (b_batch, _)) = (matrices(a.shape)?, matrices(b.shape)?);
    let shared = |own: &[u32]| Some(batches != 1 && elements(own)? == 1);
    Some(Kernel {
        batches,
        shared: [shared(a_batch)?, shared(b_batch)?],
        rows,
        depth,
        columns,
        zero_points: [a.zero_point, b.zero_point],
        multiplier: params.multiplier(),
        output: params.limits.output(&y),
    })
}

impl<E: Element> Operator for MatMul<E> {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        let (a, y) = check::unary::<E>(step, 2)?;
        let b = check::input(step, 1, E::DATA_TYPE)?;
        params.check::<E>()?;
        let p = kernel::<E>(step, params).ok_or(OpIssue::Shape)?;
        let (batch, _) = matrices(y.shape).ok_or(OpIssue::Shape)?;
        for (x, rows) in [(a, p.rows), (b, p.columns)] {
            let (own, matrix) = matrices(x.shape).ok_or(OpIssue::Shape)?;
            let one = own.iter().all(|&d| d == 1);
            ensure(matrix == [rows, p.depth] && (own == batch || one), OpIssue::Shape)?;
        }
        ensure(p.depth <= MAX_DEPTH, OpIssue::Depth)?;
        Ok(0)
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let p = frame.expect(kernel::<E>(frame.step(), params))?;
        let (inputs, y, _) = frame.apart()?;
        let (a, b) = inputs.get(0).zip(inputs.get(1)).ok_or(error)?;
        arch::matmul::matmul::<E>(&p, a, b, y).ok_or(error)
    }
}
