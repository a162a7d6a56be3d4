//! The row operators over the products of any variant.

use super::epilogue::product;
use super::{MlpUp, Weights, scaled, wide};
use crate::kernels::rows::{HEADER, WIDE_UNIT, quantize, side_by_side, split};

/// What a variant supplies: the accumulators of a row.
pub(crate) trait Dots {
    /// Tells `emit` [`super::reference::dot`] of each output, in order. `scratch` holds [`Weights::halves`].
    fn each(w: &Weights, x: &[i16], scratch: &mut [i16], emit: impl FnMut(i32)) -> Option<()>;
}

/// [`super::reference::row_linear`].
#[inline(always)]
pub(crate) fn row_linear<D: Dots>(
    w: &Weights,
    x: &[i16],
    out: &mut [i32],
    add: bool,
    scratch: &mut [i16],
) -> Option<()> {
    let rows = side_by_side((x, w.inputs.checked_add(HEADER)?), (out, w.outputs));
    for (x, out) in rows {
        let (scale, x) = split(x)?;
        let row = scaled(scale, w);
        let mut outputs = out.iter_mut().zip(w.factors());
        D::each(w, x, scratch, |acc| {
            if let Some((out, factor)) = outputs.next() {
                let y = wide(acc, row, factor);
                *out = if add { out.saturating_add(y) } else { y };
            }
        })?;
    }
    Some(())
}

/// [`super::reference::mlp_up`]; `hidden` holds the results of a row.
#[inline(always)]
pub(crate) fn mlp_up<D: Dots>(
    p: &MlpUp,
    w: &Weights,
    x: &[i16],
    out: &mut [i16],
    (hidden, scratch): (&mut [i32], &mut [i16]),
) -> Option<()> {
    let out_len = out.len().checked_div(x.len().checked_div(w.inputs.checked_add(HEADER)?)?)?;
    let rows = side_by_side((x, w.inputs.checked_add(HEADER)?), (out, out_len));
    for (x, out) in rows {
        let (scale, x) = split(x)?;
        let row = scaled(scale, w);
        let mut factors = w.factors();
        let mut results = hidden.iter_mut();
        let mut gate = None;
        D::each(w, x, scratch, |acc| {
            let Some(factor) = factors.next() else { return };
            let y = wide(acc, row, factor);
            let result = match (p.gated, gate.take()) {
                (true, None) => {
                    gate = Some(y);
                    return;
                }
                (true, Some(gate)) => product(p.activation.apply(gate), y),
                (false, _) => p.activation.apply(y),
            };
            if let Some(hidden) = results.next() {
                *hidden = result;
            }
        })?;
        quantize(hidden, WIDE_UNIT, p.bits, out)?;
    }
    Some(())
}
