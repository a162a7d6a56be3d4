//! How kernels that make several results at once round them: all alike, by shifts that they know.

use crate::fixed::{MAX_SHIFT, Rounding, TFLITE_FLAG};

/// How such a kernel rounds with all of these shifts, if it does.
pub fn vector_rounding(shifts: &[u8]) -> Option<Rounding> {
    let (min, max) = shifts.iter().fold((u8::MAX, 0), |(min, max), &shift| (min.min(shift), max.max(shift)));
    let within = |rounding| first(rounding) <= min && max <= last(rounding);
    [Rounding::Once, Rounding::TfLite].into_iter().find(|&rounding| within(rounding))
}

/// The smallest shift that they know: the bits that are rounded away, from one on, are that much less, and one more.
pub(super) const fn first(rounding: Rounding) -> u8 {
    match rounding {
        Rounding::Once => 33,
        Rounding::TfLite => TFLITE_FLAG + 32,
    }
}

pub(super) const fn last(rounding: Rounding) -> u8 {
    match rounding {
        Rounding::Once => MAX_SHIFT,
        Rounding::TfLite => TFLITE_FLAG + MAX_SHIFT,
    }
}
